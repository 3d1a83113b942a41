/* SPDX-License-Identifier: Apache-2.0
 * What is sold, as those who ask Stripe and those who store it both know it.
 */
#ifndef GC_SUBSCRIPTION_H
#define GC_SUBSCRIPTION_H

#include <apr_time.h>

#include "uuid.h"

/* Texts that are missing are NULL, times 0. */
typedef struct gc_subscription_t {
    const char *id, *customer, *status, *price;
    int has_user; /* it names one of ours */
    gc_uuid_t user;
    apr_time_t created, period_start, period_end;
    int cancels;   /* at the end of the period */
    int is_unpaid; /* its first payment has not come */
    int is_live;
} gc_subscription_t;

/* A Checkout Session. */
typedef struct gc_checkout_t {
    const char *session, *url, *customer, *subscription, *status, *payment_status;
    int has_attempt; /* it names one: checkouts.id */
    gc_uuid_t attempt;
    int is_live;
} gc_checkout_t;

/* A charge that was given back, or a dispute. */
typedef struct gc_reversal_t {
    const char *id, *customer, *status;
    int is_dispute;
    int is_live;
} gc_reversal_t;

#endif
