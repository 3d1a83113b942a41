/* SPDX-License-Identifier: Apache-2.0
 * Asks Stripe for pages.
 *
 *   the loop: Stripe is asked ─▶ a thread: the session is stored ─▶ the loop: done
 */
#include "purchase.h"

#include <apr_strings.h>

#include "core/code.h"

/* How long the session of an attempt is good, from the attempt's beginning: Stripe wants half an
 * hour at least from when it is asked, and an attempt is returned to for as long as that. */
#define SESSION apr_time_from_sec(70 * 60)

typedef struct {
    gc_purchase_t purchase; /* first, so that one is the other */
    gc_billing_t *billing;
    gc_http_request_t request;
    int is_checkout; /* else it is the portal */
    apr_time_t asked;
    gc_checkout_t checkout;
} work_t;

/* Should it not be stored, the next click asks for the same session again. */
static void store_task(void *baton)
{
    work_t *w = baton;
    const gc_billing_options_t *o = gc_billing_options(w->billing);
    gc_billing_change_t change;

    (void)!gc_billing_checkout_store(o->db, w->purchase.errand.pool, &w->checkout, w->asked,
                                     o->grace, &change);
    gc_errand_end(&w->purchase.errand, gc_companion_loop(o->companion));
}

static void answered(void *baton, const gc_stripe_answer_t *answer)
{
    work_t *w = baton;
    const gc_billing_options_t *o = gc_billing_options(w->billing);

    if (answer->verdict == GC_STRIPE_REFUSED || answer->verdict == GC_STRIPE_MISSING) {
        gc_log(o->log, GEM0705, "Stripe refused a %s: %s (status %d)",
               w->is_checkout ? "checkout" : "portal", answer->code, answer->http_status);
    }
    if (w->is_checkout && answer->body
        && gc_stripe_checkout_read(answer->body, &w->checkout) == APR_SUCCESS && w->checkout.url) {
        w->purchase.url = w->checkout.url;
        gc_companion_push(o->companion, store_task, w);
        return;
    }
    if (!w->is_checkout && answer->body) {
        w->purchase.url = json_string_value(json_object_get(answer->body, "url"));
    }
    gc_loop_errand_end(&w->purchase.errand);
}

static void begin(gc_errand_t *errand)
{
    work_t *w = (work_t *)errand;

    gc_loop_billing_ask(w->billing, w->purchase.errand.pool, &w->request, answered, w);
}

static work_t *make(gc_billing_t *billing, int is_checkout)
{
    apr_pool_t *pool = gc_companion_pool();
    work_t *w = apr_pcalloc(pool, sizeof(*w));

    w->purchase.errand = (gc_errand_t){.pool = pool, .begin = begin};
    w->billing = billing;
    w->is_checkout = is_checkout;
    return w;
}

/* The same fields have one key always, so that however often it is asked for there is one session.
 * With others, after a change of the settings, it is another key: Stripe refuses them under the
 * old one. */
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

gc_purchase_t *gc_purchase_checkout(gc_billing_t *billing, const gc_uuid_t *user,
                                    const gc_billing_attempt_t *attempt,
                                    const gc_purchase_pages_t *pages)
{
    work_t *w = make(billing, 1);
    const gc_billing_options_t *o = gc_billing_options(billing);
    const char *name = gc_uuid_text(w->purchase.errand.pool, user);
    const gc_stripe_field_t fields[] = {
        {"mode", "subscription"},
        {"line_items[0][price]", o->price},
        {"line_items[0][quantity]", "1"},
        {"success_url", pages->success},
        {"cancel_url", pages->cancel},
        {"client_reference_id", name},
        {"metadata[user_id]", name},
        {"metadata[checkout_id]", gc_uuid_text(w->purchase.errand.pool, &attempt->id)},
        {"subscription_data[metadata][user_id]", name},
        {"customer", attempt->customer},
        {"expires_at", apr_psprintf(w->purchase.errand.pool, "%" APR_INT64_T_FMT,
                                    apr_time_sec(attempt->created + SESSION))},
        {NULL, NULL}};

    w->asked = attempt->asked;
    gc_stripe_post(&w->request, w->purchase.errand.pool, &o->stripe, "/v1/checkout/sessions",
                   fields, key_of(w->purchase.errand.pool, attempt, fields));
    return &w->purchase;
}

gc_purchase_t *gc_purchase_portal(gc_billing_t *billing, const char *customer,
                                  const char *return_url)
{
    work_t *w = make(billing, 0);
    const gc_billing_options_t *o = gc_billing_options(billing);
    const gc_stripe_field_t fields[] = {
        {"customer", customer}, {"return_url", return_url}, {NULL, NULL}};
    gc_hash_t hash;

    gc_stripe_post(&w->request, w->purchase.errand.pool, &o->stripe, "/v1/billing_portal/sessions",
                   fields, gc_code_refresh_new(w->purchase.errand.pool, &hash));
    return &w->purchase;
}
