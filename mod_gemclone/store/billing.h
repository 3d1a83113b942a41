/* SPDX-License-Identifier: Apache-2.0
 * What Stripe has told: its events, and the subscriptions, sessions and payments they are about.
 * sql/deploy/billing.sql has how it hangs together.
 *
 * asked: when Stripe was asked for what is stored, by the database's clock (gc_billing_event_t);
 * what is older than what is there changes nothing. Any thread that may block.
 */
#ifndef GC_BILLING_H
#define GC_BILLING_H

#include <apr_tables.h>

#include "core/subscription.h"
#include "db.h"

/* A stored event that this process has taken. */
typedef struct gc_billing_event_t {
    const char *id, *type;
    apr_int64_t fence;
    int tries; /* this one included */
    const char *payload;
    apr_size_t len;
    apr_time_t asked;
} gc_billing_event_t;

/* Stores an event as it came. GC_EEXIST: it was here before. api_version may be NULL. */
GC_MUST_CHECK apr_status_t gc_billing_event_store(gc_db_t *db, apr_pool_t *pool, const char *id,
                                                  const char *type, const char *api_version,
                                                  const char *payload, apr_size_t len);

/* Takes at most so many that are due. *events is an array of gc_billing_event_t. */
GC_MUST_CHECK apr_status_t gc_billing_events_claim(gc_db_t *db, apr_pool_t *pool,
                                                   const char *worker, int most,
                                                   apr_interval_time_t lease,
                                                   apr_array_header_t **events);

/* Ends an event; with a delay of 0 or more it is taken again after that. GC_ENOENT: it is
 * another process' by now. */
GC_MUST_CHECK apr_status_t gc_billing_event_end(gc_db_t *db, apr_pool_t *pool,
                                                const gc_billing_event_t *event,
                                                const char *outcome, apr_interval_time_t delay);

/* How many events are not worked off, and how many of them have failed. */
GC_MUST_CHECK apr_status_t gc_billing_count(gc_db_t *db, apr_pool_t *pool, apr_int64_t *events,
                                            apr_int64_t *failing);

/* Has subscriptions asked about whose period has ended without an event; *count: how many. */
GC_MUST_CHECK apr_status_t gc_billing_doubt(gc_db_t *db, apr_pool_t *pool, int most, int *count);

/* What came of storing something. */
typedef struct gc_billing_change_t {
    int known;   /* it is of a user, or of something sold, here; else it was not stored */
    int changed; /* the user's tier may have */
    gc_uuid_t user;
} gc_billing_change_t;

/* ours: the price that is sold here. */
GC_MUST_CHECK apr_status_t gc_billing_subscription_store(gc_db_t *db, apr_pool_t *pool,
                                                         const gc_subscription_t *subscription,
                                                         const char *ours, apr_time_t asked,
                                                         apr_interval_time_t grace,
                                                         gc_billing_change_t *change);

/* Stripe knows no such subscription. */
GC_MUST_CHECK apr_status_t gc_billing_subscription_gone(gc_db_t *db, apr_pool_t *pool,
                                                        const char *id, apr_time_t asked,
                                                        apr_interval_time_t grace,
                                                        gc_billing_change_t *change);

GC_MUST_CHECK apr_status_t gc_billing_checkout_store(gc_db_t *db, apr_pool_t *pool,
                                                     const gc_checkout_t *checkout,
                                                     apr_time_t asked, apr_interval_time_t grace,
                                                     gc_billing_change_t *change);

GC_MUST_CHECK apr_status_t gc_billing_reversal_store(gc_db_t *db, apr_pool_t *pool,
                                                     const gc_reversal_t *reversal,
                                                     apr_time_t asked, apr_interval_time_t grace,
                                                     gc_billing_change_t *change);

/* GC_ENOENT: nobody has that customer. */
GC_MUST_CHECK apr_status_t gc_billing_customer_gone(gc_db_t *db, apr_pool_t *pool,
                                                    const char *customer);

/* An attempt to buy. */
typedef struct gc_billing_attempt_t {
    gc_uuid_t id;
    const char *customer; /* or NULL: Stripe makes one */
    const char *url;      /* of its session, or NULL: there is none yet */
    apr_time_t created, asked;
} gc_billing_attempt_t;

/* Begins to buy, or finds what the user has begun less than age ago. GC_EEXIST: there is a
 * subscription that is not over; GC_EGONE: there is no such user. */
GC_MUST_CHECK apr_status_t gc_billing_checkout_begin(gc_db_t *db, apr_pool_t *pool,
                                                     const gc_uuid_t *user, const char *price,
                                                     apr_interval_time_t age,
                                                     gc_billing_attempt_t *attempt);

/* The user as Stripe knows it. GC_ENOENT: it does not. */
GC_MUST_CHECK apr_status_t gc_billing_customer(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                               const char **customer);

/* What Stripe has of a user that is not over. */
typedef struct gc_billing_tie_t {
    const char *id;
    int is_session; /* an open Checkout Session; else a subscription */
} gc_billing_tie_t;

/* *ties is an array of gc_billing_tie_t. */
GC_MUST_CHECK apr_status_t gc_billing_ties(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           apr_array_header_t **ties);

/* What a user has. */
typedef struct gc_billing_status_t {
    const char *tier;
    const char *status; /* of the subscription, as Stripe has it; NULL: there was never one */
    apr_time_t period_end;
    int cancels;
} gc_billing_status_t;

/* GC_ENOENT: there is no such user. */
GC_MUST_CHECK apr_status_t gc_billing_status(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                             gc_billing_status_t *status);

#endif
