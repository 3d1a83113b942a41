/* SPDX-License-Identifier: Apache-2.0
 * Stripe's webhook events, once their signature is right. The input is the body.
 */
#include "fuzz.h"

#include <string.h>

#include "core/json.h"
#include "upstream/stripe.h"
#include "upstream/stripe_event.h"

/* What an event is about becomes part of a path of Stripe's. */
static void check_event(const gc_stripe_event_t *event)
{
    const char *const subjects[] = {event->customer, event->subscription, event->session,
                                    event->charge, event->dispute};
    size_t i;

    HOLDS(gc_stripe_is_id(event->id));
    HOLDS(event->type && strlen(event->type) <= GC_STRIPE_ID);
    for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        HOLDS(!subjects[i] || gc_stripe_is_id(subjects[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    const char *why = NULL;
    gc_stripe_event_t event;
    json_t *json;

    if (gc_json_parse(pool, fuzz_text(pool, data, size), size, &json, &why) == APR_SUCCESS
        && gc_stripe_event_read(json, &event, &why) == APR_SUCCESS) {
        check_event(&event);
    } else {
        HOLDS(why && *why);
    }
    apr_pool_destroy(pool);
    return 0;
}
