/* SPDX-License-Identifier: Apache-2.0
 * One-time codes: issued, tried, used up.
 */
#ifndef GC_OTP_H
#define GC_OTP_H

#include "core/code.h"
#include "db.h"

/* Stores the hash of a new code, which voids the number's older one of the
 * same purpose. *known tells whether the number has an account; the work done
 * is the same either way. */
GC_MUST_CHECK apr_status_t gc_otp_issue(gc_db_t *db, apr_pool_t *pool, const char *e164,
                                        const char *purpose, const gc_hash_t *code,
                                        apr_interval_time_t lifetime, int *known);

typedef struct gc_otp_try_t {
    const char *e164, *purpose;
    const gc_hash_t *code;
    const gc_hash_t *refresh; /* of the session's refresh token, or NULL for none */
    int tries;                /* allowed a number and window */
    apr_interval_time_t window;
} gc_otp_try_t;

/* Tries a code; a right one is used up and opens a session. GC_ENOENT: wrong,
 * used, expired, unknown number or too many tries. */
GC_MUST_CHECK apr_status_t gc_otp_verify(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                                         gc_uuid_t *session, gc_uuid_t *user);

#endif
