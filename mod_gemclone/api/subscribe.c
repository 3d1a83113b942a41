/* SPDX-License-Identifier: Apache-2.0
 * Buying, and looking after what was bought: pages of Stripe's, whose addresses it is asked for.
 * The request waits for them as a stream does, without a thread.
 *
 *   request's thread: an attempt, or what there is ─▶ the loop: Stripe is asked ─▶ a thread: the
 *      session is stored ─▶ the loop: the answer
 */
#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>

#include "answer.h"
#include "core/code.h"
#include "handlers.h"
#include "store/billing.h"

/* Clicks that are no further apart are one attempt, and its session is good for so long from its
 * beginning: Stripe wants half an hour at least, from when it is asked. */
#define ATTEMPT apr_time_from_sec(30 * 60)
#define SESSION apr_time_from_sec(70 * 60)

#define RETRY_AFTER "5"

/* One request that waits, in a pool of its own: the client may leave before Stripe has answered. */
typedef struct {
    gc_wait_t wait;
    apr_pool_t *pool;
    gc_request_t *q; /* NULL: nobody waits any more */
    gc_service_t *service;
    gc_billing_t *billing;
    gc_http_request_t request;
    int is_checkout; /* else it is the portal */
    apr_time_t asked;
    const char *url; /* NULL: there is none */
    gc_checkout_t checkout;
    gc_loop_task_t task;
} asking_t;

/* --- What is answered ------------------------------------------------------- */

static int answer_url(gc_request_t *q, int is_checkout, const char *url)
{
    return gc_answer_json(
        q, HTTP_OK,
        is_checkout ? json_pack("{s:s, s:s}", "message", "Pay there.", "checkout_url", url)
                    : json_pack("{s:s, s:s}", "message", "Manage it there.", "portal_url", url));
}

/* The last that is done with it. */
static void answer(gc_wait_t *wait, request_rec *r)
{
    asking_t *a = (asking_t *)wait;

    (void)r;
    if (a->url) {
        (void)answer_url(a->q, a->is_checkout, a->url);
    } else {
        (void)gc_answer_not_sold(a->q, "Stripe cannot be asked at the moment. Please try again.",
                                 5);
    }
    apr_pool_destroy(a->pool);
}

static void gone(gc_wait_t *wait)
{
    asking_t *a = (asking_t *)wait;

    a->q = NULL;
}

/* On the loop. */
static void end(void *baton)
{
    asking_t *a = baton;

    if (a->q) {
        gc_loop_wait_over(&a->wait);
    } else {
        apr_pool_destroy(a->pool);
    }
}

/* --- Asking ------------------------------------------------------------------ */

/* Should it not be stored, the next click asks for the same session again. */
static void store_task(void *baton)
{
    asking_t *a = baton;
    gc_billing_change_t change;

    (void)!gc_billing_checkout_store(a->service->db, a->pool, &a->checkout, a->asked,
                                     a->service->config->billing_grace, &change);
    a->task = (gc_loop_task_t){.call = end, .baton = a};
    gc_loop_post(gc_companion_loop(gc_service_companion()), &a->task);
}

static void answered(void *baton, const gc_stripe_answer_t *said)
{
    asking_t *a = baton;

    if (said->verdict == GC_STRIPE_REFUSED || said->verdict == GC_STRIPE_MISSING) {
        gc_log(&a->service->log, GEM0705, "Stripe refused a %s: %s (status %d)",
               a->is_checkout ? "checkout" : "portal", said->code, said->http_status);
    }
    if (a->is_checkout && said->body
        && gc_stripe_checkout_read(said->body, &a->checkout) == APR_SUCCESS && a->checkout.url) {
        a->url = a->checkout.url;
        gc_companion_push(gc_service_companion(), store_task, a);
        return;
    }
    if (!a->is_checkout && said->body) {
        a->url = json_string_value(json_object_get(said->body, "url"));
    }
    end(a);
}

static void begin(gc_wait_t *wait)
{
    asking_t *a = (asking_t *)wait;

    gc_loop_billing_ask(a->billing, a->pool, &a->request, answered, a);
}

static asking_t *make(gc_request_t *q, int is_checkout)
{
    apr_pool_t *pool = gc_companion_pool();
    asking_t *a = apr_pcalloc(pool, sizeof(*a));

    a->wait = (gc_wait_t){.begin = begin, .answer = answer, .gone = gone};
    a->pool = pool;
    a->q = q;
    a->service = q->service;
    a->billing = __atomic_load_n(&q->service->billing, __ATOMIC_ACQUIRE);
    a->is_checkout = is_checkout;
    return a;
}

/* Waits, or says why not. */
static int wait_for(asking_t *a)
{
    gc_request_t *q = a->q;
    gc_streams_t *streams = __atomic_load_n(&q->service->streams, __ATOMIC_ACQUIRE);

    if (a->billing && streams && gc_stream_reserve(streams, q->r)) {
        return gc_stream_wait(streams, q->r, &a->wait);
    }
    apr_pool_destroy(a->pool);
    apr_table_setn(q->r->headers_out, "Retry-After", RETRY_AFTER);
    return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                           "As many requests wait as there may be. Please try again.");
}

/* --- Routes ------------------------------------------------------------------ */

/* The same fields under one key always: with others, after a change of the settings, it is another
 * key, for Stripe refuses them under the same one. */
static const char *key_of(apr_pool_t *pool, const gc_billing_attempt_t *attempt,
                          const gc_stripe_field_t *fields)
{
    const char *all = "";
    gc_hash_t hash;

    for (; fields->name; fields++) {
        all = apr_pstrcat(pool, all, fields->name, "=", fields->value ? fields->value : "", "\n",
                          NULL);
    }
    gc_code_fingerprint(&hash, all, NULL);
    return apr_psprintf(pool, "%s-%02x%02x%02x%02x", gc_uuid_text(pool, &attempt->id),
                        hash.bytes[0], hash.bytes[1], hash.bytes[2], hash.bytes[3]);
}

static void make_checkout(asking_t *a, const gc_billing_attempt_t *attempt)
{
    const gc_config_t *c = a->service->config;
    const char *user = gc_uuid_text(a->pool, &a->q->token.user);
    gc_stripe_settings_t settings;
    const gc_stripe_field_t fields[] = {
        {"mode", "subscription"},
        {"line_items[0][price]", c->stripe_price},
        {"line_items[0][quantity]", "1"},
        {"success_url", c->stripe_success},
        {"cancel_url", c->stripe_cancel},
        {"client_reference_id", user},
        {"metadata[user_id]", user},
        {"metadata[checkout_id]", gc_uuid_text(a->pool, &attempt->id)},
        {"subscription_data[metadata][user_id]", user},
        {"customer", attempt->customer},
        {"expires_at",
         apr_psprintf(a->pool, "%" APR_INT64_T_FMT, apr_time_sec(attempt->created + SESSION))},
        {NULL, NULL}};

    a->asked = attempt->asked;
    gc_service_stripe_settings(a->pool, c, &settings);
    gc_stripe_post(&a->request, a->pool, &settings, "/v1/checkout/sessions", fields,
                   key_of(a->pool, attempt, fields));
}

int gc_handle_subscribe_pro(gc_request_t *q)
{
    gc_billing_attempt_t attempt;
    asking_t *a;
    apr_status_t rv;

    if (!q->service->stripe_secrets) {
        return gc_answer_not_sold(q, "Nothing is sold here: Stripe is not set up.", 3600);
    }
    rv = gc_billing_checkout_begin(q->service->db, q->pool, &q->token.user,
                                   q->service->config->stripe_price, ATTEMPT, &attempt);
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
    a = make(q, 1);
    make_checkout(a, &attempt);
    return wait_for(a);
}

int gc_handle_subscribe_portal(gc_request_t *q)
{
    gc_stripe_settings_t settings;
    const char *customer;
    gc_hash_t hash;
    asking_t *a;
    apr_status_t rv;

    if (!q->service->stripe_secrets) {
        return gc_answer_not_sold(q, "Nothing is sold here: Stripe is not set up.", 3600);
    }
    rv = gc_billing_customer(q->service->db, q->pool, &q->token.user, &customer);
    if (rv == GC_ENOENT) {
        return gc_answer_error(q, HTTP_CONFLICT, "Nothing was bought yet: see /subscribe/pro.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    a = make(q, 0);
    {
        const gc_stripe_field_t fields[] = {{"customer", apr_pstrdup(a->pool, customer)},
                                            {"return_url", q->service->config->stripe_return},
                                            {NULL, NULL}};

        gc_service_stripe_settings(a->pool, q->service->config, &settings);
        gc_stripe_post(&a->request, a->pool, &settings, "/v1/billing_portal/sessions", fields,
                       gc_code_refresh_new(a->pool, &hash));
    }
    return wait_for(a);
}
