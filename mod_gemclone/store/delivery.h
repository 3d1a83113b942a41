/* SPDX-License-Identifier: Apache-2.0
 * One-time codes on their way to a gateway.
 */
#ifndef GC_STORE_DELIVERY_H
#define GC_STORE_DELIVERY_H

#include <apr_tables.h>

#include "db.h"

typedef struct gc_delivery_t {
    gc_uuid_t id;
    const char *e164, *purpose;
    const unsigned char *sealed; /* the code (core/code.h); NULL: the gateway makes it */
    apr_size_t sealed_len;
    apr_int64_t fence;
    int tries; /* with this one */
    apr_time_t expires;
} gc_delivery_t;

typedef struct gc_delivery_claim_t {
    const char *site;
    int most;
    apr_interval_time_t lease;
    int repeats;        /* the gateway knows a delivery that it was told of before */
    apr_int64_t budget; /* deliveries a day; < 0: any number */
} gc_delivery_claim_t;

/* Takes deliveries that are due: gc_delivery_t. *spent: as many were dropped, since the day's
 * budget is used up. */
GC_MUST_CHECK apr_status_t gc_delivery_claim(gc_db_t *db, apr_pool_t *pool,
                                             const gc_delivery_claim_t *claim,
                                             apr_array_header_t **deliveries, int *spent);

/* Nothing more is to be done about it. */
GC_MUST_CHECK apr_status_t gc_delivery_end(gc_db_t *db, apr_pool_t *pool,
                                           const gc_delivery_t *delivery);

/* The gateway does not have it, that is sure: it is tried again after a while. */
GC_MUST_CHECK apr_status_t gc_delivery_put_off(gc_db_t *db, apr_pool_t *pool,
                                               const gc_delivery_t *delivery,
                                               apr_interval_time_t delay);

#endif
