/* SPDX-License-Identifier: Apache-2.0
 * Buying, and looking after what was bought. The request waits for the address of Stripe's page as
 * a stream does, without a thread.
 */
#include "work/purchase.h"

#include <apr_strings.h>

#include "answer.h"
#include "handlers.h"
#include "store/billing.h"

/* Clicks that are no further apart are one attempt. */
#define ATTEMPT apr_time_from_sec(30 * 60)

enum { RETRY_AFTER = 5 }; /* seconds */

/* In the request's pool. */
typedef struct {
    gc_request_t *q;
    gc_purchase_t *purchase;
    int is_checkout;
} ask_t;

static int answer_url(gc_request_t *q, int is_checkout, const char *url)
{
    return gc_answer_json(
        q, HTTP_OK,
        is_checkout ? json_pack("{s:s, s:s}", "message", "Pay there.", "checkout_url", url)
                    : json_pack("{s:s, s:s}", "message", "Manage it there.", "portal_url", url));
}

static void answer(void *baton, request_rec *r)
{
    ask_t *ask = baton;

    (void)r;
    if (ask->purchase->url) {
        (void)answer_url(ask->q, ask->is_checkout, ask->purchase->url);
    } else {
        (void)gc_answer_not_sold(ask->q, "Stripe cannot be asked at the moment. Please try again.",
                                 RETRY_AFTER);
    }
}

static int not_set_up(gc_request_t *q)
{
    return gc_answer_not_sold(q, "Nothing is sold here: Stripe is not set up.", 3600);
}

static gc_billing_t *billing_of(const gc_request_t *q)
{
    return __atomic_load_n(&q->service->billing, __ATOMIC_ACQUIRE);
}

static int wait_for(gc_request_t *q, gc_purchase_t *purchase, int is_checkout)
{
    ask_t *ask = apr_palloc(q->pool, sizeof(*ask));
    int rv;

    *ask = (ask_t){q, purchase, is_checkout};
    if (gc_request_wait(q, &purchase->errand, answer, ask, &rv)) {
        return rv;
    }
    return rv != OK ? rv : gc_answer_crowded(q, RETRY_AFTER);
}

int gc_handle_subscribe_pro(gc_request_t *q)
{
    const gc_config_t *c = q->service->config;
    const gc_purchase_pages_t pages = {c->stripe_success, c->stripe_cancel};
    gc_billing_attempt_t attempt;
    apr_status_t rv;

    if (!q->service->stripe_secrets) {
        return not_set_up(q);
    }
    rv = gc_billing_checkout_begin(q->service->db, q->pool, &q->token.user, c->stripe_price,
                                   ATTEMPT, &attempt);
    if (rv == GC_EEXIST) {
        return gc_answer_error(q, HTTP_CONFLICT,
                               "There is a subscription already: see /subscribe/portal.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    if (attempt.url) {
        return answer_url(q, 1, attempt.url);
    }
    return billing_of(q) ? wait_for(
               q, gc_purchase_checkout(billing_of(q), &q->token.user, &attempt, &pages), 1)
                         : gc_answer_crowded(q, RETRY_AFTER);
}

int gc_handle_subscribe_portal(gc_request_t *q)
{
    const char *customer, *back = q->service->config->stripe_return;
    apr_status_t rv;

    if (!q->service->stripe_secrets) {
        return not_set_up(q);
    }
    rv = gc_billing_customer(q->service->db, q->pool, &q->token.user, &customer);
    if (rv == GC_ENOENT) {
        return gc_answer_error(q, HTTP_CONFLICT, "Nothing was bought yet: see /subscribe/pro.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return billing_of(q) ? wait_for(q, gc_purchase_portal(billing_of(q), customer, back), 0)
                         : gc_answer_crowded(q, RETRY_AFTER);
}
