/* SPDX-License-Identifier: Apache-2.0
 * Stripe's answers: its objects and its errors. The input is the HTTP status and the header
 * stripe-should-retry, if there is one, on one line, then the body.
 */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "upstream/stripe.h"

static void check_answer(const gc_stripe_answer_t *answer, int status, const char *retry)
{
    int done = answer->verdict == GC_STRIPE_DONE;

    HOLDS(answer->http_status == status);
    HOLDS(done == (answer->body != NULL) && done == (*answer->code == '\0'));
    HOLDS(!done || (status / 100 == 2 && json_is_object(answer->body)));
    HOLDS(done || gc_stripe_is_id(answer->code)); /* the same characters: a log takes them */
    if (!done && status / 100 != 2 && strcasecmp(retry, "true") == 0) {
        HOLDS(answer->verdict == GC_STRIPE_AWAY);
    }
    if (strcasecmp(retry, "false") == 0 && status / 100 != 2) {
        HOLDS(answer->verdict != GC_STRIPE_AWAY);
    }
}

static int is_id_or_null(const char *id)
{
    return !id || gc_stripe_is_id(id);
}

static void check_subscription(const json_t *body)
{
    gc_subscription_t s;

    if (gc_stripe_subscription_read(body, &s) == APR_SUCCESS) {
        HOLDS(gc_stripe_is_id(s.id) && gc_stripe_is_id(s.customer) && is_id_or_null(s.price));
        HOLDS(s.status && s.created >= 0 && s.period_start >= 0 && s.period_end >= 0);
    }
}

static void check_checkout(const json_t *body)
{
    gc_checkout_t c;

    if (gc_stripe_checkout_read(body, &c) == APR_SUCCESS) {
        HOLDS(gc_stripe_is_id(c.session) && c.status);
        HOLDS(is_id_or_null(c.customer) && is_id_or_null(c.subscription));
    }
}

static void check_reversal(const json_t *body)
{
    gc_reversal_t r;

    if (gc_stripe_reversal_read(body, &r) == APR_SUCCESS) {
        HOLDS(gc_stripe_is_id(r.id) && gc_stripe_is_id(r.customer) && r.status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size);
    gc_http_result_t result = {.http_status = (int)(fuzz_number(&line, 200) % 1000)};
    gc_stripe_reader_t *reader = apr_palloc(pool, sizeof(*reader));
    gc_stripe_answer_t answer;

    line += *line == ' ';
    gc_stripe_reader_init(reader, pool);
    HOLDS(gc_stripe_reader_data(reader, (const char *)data, size) == APR_SUCCESS);
    gc_stripe_reader_end(reader, &result, *line ? line : NULL, &answer);
    check_answer(&answer, result.http_status, line);
    if (answer.verdict == GC_STRIPE_DONE) {
        check_subscription(answer.body);
        check_checkout(answer.body);
        check_reversal(answer.body);
    }
    apr_pool_destroy(pool);
    return 0;
}
