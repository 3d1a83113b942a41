/* SPDX-License-Identifier: Apache-2.0
 * Stripe's webhook events: whether one is Stripe's, and what it is about.
 * After https://docs.stripe.com/webhooks and the Webhooks.ts of stripe-node 22.5.
 */
#ifndef GC_UPSTREAM_STRIPE_EVENT_H
#define GC_UPSTREAM_STRIPE_EVENT_H

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>

#include "core/status.h"

/* How far the time of a signature may be from now, in either direction. */
#define GC_STRIPE_TOLERANCE apr_time_from_sec(300)

/* One of the secrets of the endpoint, whsec_… as a whole. */
typedef struct gc_stripe_secret_t {
    const unsigned char *bytes;
    apr_size_t len;
} gc_stripe_secret_t;

typedef enum {
    GC_STRIPE_SIGNED,   /* by one of the secrets, and lately */
    GC_STRIPE_UNSIGNED, /* there is no signature that could be looked at */
    GC_STRIPE_FORGED,   /* none of the signatures is right */
    GC_STRIPE_OLD       /* one is, but the time of it is too far from now */
} gc_stripe_signed_e;

/* Looks at the header Stripe-Signature (NULL: missing) over the body as it came. Every v1 is held
 * against every secret, in constant time. */
gc_stripe_signed_e gc_stripe_verify(const char *header, const char *body, apr_size_t len,
                                    const gc_stripe_secret_t *secrets, int count, apr_time_t now);

/* The texts are the JSON's. */
typedef struct gc_stripe_event_t {
    const char *id, *type, *api_version;
    int is_live;
    /* What it is about, as far as it says; each NULL where it does not. Their state is to be read
     * from Stripe: events come late, twice, and in any order. */
    const char *customer, *subscription, *session, *charge, *dispute;
} gc_stripe_event_t;

/* GC_EINPUT: it is no event of this kind; *why tells. Objects are read in the shape of before and
 * of after basil (2025-03-31), whichever the endpoint has. */
GC_MUST_CHECK apr_status_t gc_stripe_event_read(const json_t *json, gc_stripe_event_t *event,
                                                const char **why);

#endif
