/* SPDX-License-Identifier: Apache-2.0
 * What may be done so often in a while, and no oftener.
 */
#ifndef GC_LIMIT_H
#define GC_LIMIT_H

#include <apr_pools.h>
#include <apr_time.h>

/* In the order in which they are taken: all callers the same, so that none waits for another that
 * waits for it. */
typedef enum {
    GC_LIMIT_SIGNUP_ADDRESS,
    GC_LIMIT_SIGN_IN_ADDRESS,
    GC_LIMIT_OTP_TRY,
    GC_LIMIT_PASSWORD,
    GC_LIMIT_OTP_ADDRESS,
    GC_LIMIT_OTP_NUMBER,
    GC_LIMIT_OTP_COOLDOWN,
    GC_LIMIT_OTP_BUDGET,
    GC_LIMITS
} gc_limit_e;

/* So many in a window; most < 0: it is not limited. */
typedef struct gc_limit_t {
    apr_int64_t most;
    apr_interval_time_t window;
} gc_limit_t;

/* As the database and GemcloneLimit have it: "otp-number". GC_LIMITS: there is none of that name.
 */
const char *gc_limit_name(gc_limit_e kind);
gc_limit_e gc_limit_of(const char *name);

/* Where GemcloneLimit says nothing. */
gc_limit_t gc_limit_default(gc_limit_e kind);

/* Whom an address counts for: itself, or of IPv6 the network of 64 bits that one customer has. */
const char *gc_limit_address(apr_pool_t *pool, const char *address);

#endif
