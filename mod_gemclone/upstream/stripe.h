/* SPDX-License-Identifier: Apache-2.0
 * Stripe's API: requests are made and answers read; nothing is kept.
 * After https://docs.stripe.com/api and the code of stripe-node 22.5.
 */
#ifndef GC_UPSTREAM_STRIPE_H
#define GC_UPSTREAM_STRIPE_H

#include <jansson.h>

#include "core/membuf.h"
#include "core/status.h"
#include "core/subscription.h"
#include "http.h"

enum {
    GC_STRIPE_ID = 255,          /* the longest id, in bytes */
    GC_STRIPE_WORD = 64,         /* of an error's code or a status, with the NUL */
    GC_STRIPE_BODY = 1024 * 1024 /* the longest answer */
};

typedef struct gc_stripe_settings_t {
    const char *base_url; /* https://api.stripe.com */
    const char *key;      /* sk_… or rk_… */
    const char *version;  /* of the API, such as 2026-07-29.dahlia */
    gc_http_timeouts_t timeouts;
} gc_stripe_settings_t;

/* One field of a form: name as Stripe nests them, a[b][0]. NULL: there is none. */
typedef struct gc_stripe_field_t {
    const char *name, *value;
} gc_stripe_field_t;

/* Whether a text may be an object's id: it then stands in a path as it is. */
int gc_stripe_is_id(const char *text);

/* Whether a key is one of live mode (else of a sandbox). */
int gc_stripe_is_live(const char *key);

/* What is wrong with settings, or NULL. */
const char *gc_stripe_check(apr_pool_t *pool, const gc_stripe_settings_t *settings);

/* Requests live in the pool; the path begins with /v1/. */
void gc_stripe_get(gc_http_request_t *request, apr_pool_t *pool,
                   const gc_stripe_settings_t *settings, const char *path);
/* fields end with a name of NULL; those without a value are left out. The same key makes it the
 * same request, however often it is sent. */
void gc_stripe_post(gc_http_request_t *request, apr_pool_t *pool,
                    const gc_stripe_settings_t *settings, const char *path,
                    const gc_stripe_field_t *fields, const char *key);
void gc_stripe_delete(gc_http_request_t *request, apr_pool_t *pool,
                      const gc_stripe_settings_t *settings, const char *path, const char *key);

/* --- Answers --- */

typedef enum {
    GC_STRIPE_DONE,    /* body is the object */
    GC_STRIPE_MISSING, /* there is no such object */
    GC_STRIPE_REFUSED, /* it will not be done, however often it is asked */
    GC_STRIPE_DENIED,  /* the key is wrong, or may not */
    GC_STRIPE_AWAY     /* another time: busy, broken, out of reach */
} gc_stripe_verdict_e;

typedef struct gc_stripe_answer_t {
    gc_stripe_verdict_e verdict;
    int http_status;           /* 0: there was no answer */
    char code[GC_STRIPE_WORD]; /* what went wrong, for a log; empty: nothing did */
    json_t *body;              /* with GC_STRIPE_DONE; the pool's */
} gc_stripe_answer_t;

/* Gathers one answer: an http handler's functions, with it as their baton. */
typedef struct gc_stripe_reader_t {
    apr_pool_t *pool;
    gc_membuf_t bytes;
} gc_stripe_reader_t;

void gc_stripe_reader_init(gc_stripe_reader_t *reader, apr_pool_t *pool);
GC_MUST_CHECK apr_status_t gc_stripe_reader_data(gc_stripe_reader_t *reader, const char *bytes,
                                                 apr_size_t length);
/* should_retry: the header stripe-should-retry, or NULL. */
void gc_stripe_reader_end(gc_stripe_reader_t *reader, const gc_http_result_t *result,
                          const char *should_retry, gc_stripe_answer_t *answer);

/* --- Objects, as far as they matter here; the texts are the JSON's --- */

/* Of one whose latest_invoice is expanded. GC_EINPUT: it is no subscription. Both places of the
 * period are read: the items' (since basil) and the subscription's own. */
GC_MUST_CHECK apr_status_t gc_stripe_subscription_read(const json_t *object,
                                                       gc_subscription_t *subscription);

/* GC_EINPUT: it is no Checkout Session. */
GC_MUST_CHECK apr_status_t gc_stripe_checkout_read(const json_t *object, gc_checkout_t *checkout);

/* Of a charge, or of a dispute whose charge is expanded. GC_EINPUT: it is neither, or nobody's. */
GC_MUST_CHECK apr_status_t gc_stripe_reversal_read(const json_t *object, gc_reversal_t *reversal);

/* The member of this name when it is a string, else NULL. */
const char *gc_stripe_text(const json_t *object, const char *member);

/* The id in a member that holds an object or its id; or NULL. */
const char *gc_stripe_reference(const json_t *object, const char *member);

#endif
