/* SPDX-License-Identifier: Apache-2.0
 * Works off the events that Stripe has delivered.
 *
 *   event ─▶ what it is about ─▶ that is read from Stripe ─▶ stored, and with it the user's tier
 *
 * One event at a time in each process, on a thread that may block; the loop carries the talk with
 * Stripe, also that of requests. What fails is tried again with growing pauses, for as long as it
 * takes: it is money.
 */
#ifndef GC_WORK_BILLING_H
#define GC_WORK_BILLING_H

#include "companion.h"
#include "core/log.h"
#include "core/metrics.h"
#include "store/billing.h"
#include "upstream/stripe.h"

typedef struct gc_billing_options_t {
    gc_db_t *db;
    gc_companion_t *companion;
    const gc_log_t *log;
    gc_metrics_t *metrics; /* or NULL */
    const char *name;      /* of this process, unlike any other's */
    gc_stripe_settings_t stripe;
    const char *ca_file; /* or NULL: the system's authorities */
    const char *price;   /* what is sold */
    apr_interval_time_t grace, poll;
    int works; /* off events; else it only asks Stripe for requests */
    /* On a thread that may block: what a user has has changed. */
    void (*changed)(void *baton, const gc_uuid_t *user);
    void *baton;
} gc_billing_options_t;

typedef struct gc_billing_t gc_billing_t;

/* Lives as long as the pool, which must be cleared on the loop's thread. */
GC_MUST_CHECK apr_status_t gc_loop_billing_start(apr_pool_t *pool,
                                                 const gc_billing_options_t *options,
                                                 gc_billing_t **billing);

const gc_billing_options_t *gc_billing_options(const gc_billing_t *billing);

/* What Stripe said; on the loop, and before gc_loop_billing_ask returns where the process stops. */
typedef void gc_billing_answered_t(void *baton, const gc_stripe_answer_t *answer);

/* On the loop: asks Stripe once. The request and its body must stay as they are until it is
 * answered, which it is in any case; answers live as long as the pool, which may be destroyed by
 * then at the earliest. */
void gc_loop_billing_ask(gc_billing_t *billing, apr_pool_t *pool, const gc_http_request_t *request,
                         gc_billing_answered_t *answered, void *baton);

/* Any thread: there is a new event. */
void gc_billing_poke(gc_billing_t *billing);

/* Takes no more events, and gives the one that is being worked off back; drained(baton) is called
 * once, on the loop, when nothing is under way. */
void gc_loop_billing_drain(gc_billing_t *billing, void (*drained)(void *baton), void *baton);

#endif
