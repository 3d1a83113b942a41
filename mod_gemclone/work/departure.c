/* SPDX-License-Identifier: Apache-2.0
 * An account goes.
 *
 *   the loop: Stripe ends one thing after the other ─▶ a thread: the account is deleted ─▶ the
 *      loop: done
 */
#include "departure.h"

#include <apr_strings.h>

#include "store/user.h"

typedef struct {
    gc_departure_t departure; /* first, so that one is the other */
    gc_billing_t *billing;
    gc_uuid_t user;
    const gc_billing_tie_t *ties;
    int tie_count, at;
    gc_http_request_t request;
} work_t;

static void delete_task(void *baton)
{
    work_t *w = baton;
    const gc_billing_options_t *o = gc_billing_options(w->billing);

    w->departure.outcome =
        gc_user_delete(o->db, w->departure.errand.pool, &w->user, &w->departure.owed);
    if (w->departure.outcome == APR_SUCCESS) {
        o->changed(o->baton, &w->user);
    }
    gc_errand_end(&w->departure.errand, gc_companion_loop(o->companion));
}

static void ask_next(work_t *w);

/* What is over already, or never was, is as good as ended. A session that cannot be ended any more
 * is over as well. */
static int is_ended(const work_t *w, const gc_stripe_answer_t *answer)
{
    return answer->verdict == GC_STRIPE_DONE || answer->verdict == GC_STRIPE_MISSING
           || (answer->verdict == GC_STRIPE_REFUSED && w->ties[w->at].is_session);
}

static void answered(void *baton, const gc_stripe_answer_t *answer)
{
    work_t *w = baton;

    if (!is_ended(w, answer)) {
        w->departure.outcome = GC_EUNAVAILABLE;
        gc_loop_errand_end(&w->departure.errand);
        return;
    }
    w->at++;
    ask_next(w);
}

static void ask_next(work_t *w)
{
    static const gc_stripe_field_t nothing[] = {{NULL, NULL}};
    const gc_billing_options_t *o = gc_billing_options(w->billing);
    const gc_billing_tie_t *tie = &w->ties[w->at];

    if (w->at == w->tie_count) {
        gc_companion_push(o->companion, delete_task, w);
    } else if (tie->is_session) {
        gc_stripe_post(&w->request, w->departure.errand.pool, &o->stripe,
                       apr_pstrcat(w->departure.errand.pool, "/v1/checkout/sessions/", tie->id,
                                   "/expire", NULL),
                       nothing, apr_pstrcat(w->departure.errand.pool, "expire-", tie->id, NULL));
        gc_loop_billing_ask(w->billing, w->departure.errand.pool, &w->request, answered, w);
    } else {
        gc_stripe_delete(&w->request, w->departure.errand.pool, &o->stripe,
                         apr_pstrcat(w->departure.errand.pool, "/v1/subscriptions/", tie->id, NULL),
                         apr_pstrcat(w->departure.errand.pool, "end-", tie->id, NULL));
        gc_loop_billing_ask(w->billing, w->departure.errand.pool, &w->request, answered, w);
    }
}

static void begin(gc_errand_t *errand)
{
    work_t *w = (work_t *)errand;

    ask_next(w);
}

gc_departure_t *gc_departure_create(gc_billing_t *billing, const gc_uuid_t *user,
                                    const apr_array_header_t *ties)
{
    apr_pool_t *pool = gc_companion_pool();
    work_t *w = apr_pcalloc(pool, sizeof(*w));
    gc_billing_tie_t *copy = apr_palloc(pool, sizeof(*copy) * (apr_size_t)ties->nelts);
    int i;

    for (i = 0; i < ties->nelts; i++) {
        const gc_billing_tie_t *tie = &APR_ARRAY_IDX(ties, i, gc_billing_tie_t);

        copy[i] = (gc_billing_tie_t){apr_pstrdup(pool, tie->id), tie->is_session};
    }
    w->departure.errand = (gc_errand_t){.pool = pool, .begin = begin};
    w->billing = billing;
    w->user = *user;
    w->ties = copy;
    w->tie_count = ties->nelts;
    return &w->departure;
}
