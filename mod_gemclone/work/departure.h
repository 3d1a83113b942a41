/* SPDX-License-Identifier: Apache-2.0
 * An account goes: an errand that has Stripe end what it pays for first, so that nobody goes on
 * paying for an account that is no more.
 */
#ifndef GC_DEPARTURE_H
#define GC_DEPARTURE_H

#include "billing.h"
#include "errand.h"

typedef struct gc_departure_t {
    gc_errand_t errand;   /* first, so that one is the other */
    apr_status_t outcome; /* once it is done: APR_SUCCESS, the account is gone; else it is as it
                             was, but for what Stripe may have ended: GC_EUNAVAILABLE (Stripe), or
                             as gc_user_delete has it */
    /* Once the account is gone: as gc_user_delete has it, in the errand's pool. */
    apr_array_header_t *owed;
} gc_departure_t;

/* Any thread. ties: an array of gc_billing_tie_t, which is copied. */
gc_departure_t *gc_departure_create(gc_billing_t *billing, const gc_uuid_t *user,
                                    const apr_array_header_t *ties);

#endif
