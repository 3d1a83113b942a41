/* SPDX-License-Identifier: Apache-2.0
 * What Stripe calls when something has happened. An event is stored and answered at once; what
 * follows from it is work/billing's. Stripe sends again what is not answered with success.
 */
#include "answer.h"
#include "handlers.h"
#include "store/billing.h"

/* What does not come from Stripe is told no more than that. */
static int refuse(gc_request_t *q, const char *why)
{
    gc_metrics_count(q->service->metrics, GC_COUNT_WEBHOOK_REFUSED);
    gc_log(&q->service->log, GEM0704, "a webhook request was refused: %s", why);
    return gc_answer_error(q, HTTP_BAD_REQUEST, why);
}

/* NULL: it is signed by Stripe, for us, now. */
static const char *check_signature(const gc_request_t *q)
{
    switch (gc_stripe_verify(apr_table_get(q->r->headers_in, "Stripe-Signature"), q->raw,
                             q->raw_len, q->service->stripe_secrets,
                             q->service->config->stripe_secrets->nelts, apr_time_now())) {
    case GC_STRIPE_SIGNED:
        return NULL;
    case GC_STRIPE_UNSIGNED:
        return "There is no signature of Stripe's over a body.";
    case GC_STRIPE_OLD:
        return "The signature is older than five minutes, or of a time to come.";
    default:
        return "The signature is not right.";
    }
}

int gc_handle_stripe_webhook(gc_request_t *q)
{
    gc_service_t *s = q->service;
    gc_billing_t *billing = __atomic_load_n(&s->billing, __ATOMIC_ACQUIRE);
    gc_stripe_event_t event;
    const char *why;
    json_t *json;
    apr_status_t rv;

    if (!s->stripe_secrets) {
        return gc_answer_not_sold(q, "Nothing is sold here: Stripe is not set up.", 3600);
    }
    if ((why = check_signature(q))
        || gc_json_parse(q->pool, q->raw, q->raw_len, &json, &why) != APR_SUCCESS
        || gc_stripe_event_read(json, &event, &why) != APR_SUCCESS) {
        return refuse(q, why);
    }
    if (event.is_live != s->sells_live) {
        return refuse(q, event.is_live ? "The event is of live mode, this server of a sandbox."
                                       : "The event is of a sandbox, this server of live mode.");
    }
    rv = gc_billing_event_store(s->db, q->pool, event.id, event.type, event.api_version, q->raw,
                                q->raw_len);
    gc_metrics_count(s->metrics, rv == APR_SUCCESS ? GC_COUNT_WEBHOOK_ACCEPTED
                                 : rv == GC_EEXIST ? GC_COUNT_WEBHOOK_REPEATED
                                                   : GC_COUNT_WEBHOOK_FAILED);
    if (rv != APR_SUCCESS && rv != GC_EEXIST) {
        return gc_answer_failure(q, rv);
    }
    if (rv == APR_SUCCESS && billing) {
        gc_billing_poke(billing);
    }
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", "Received."));
}
