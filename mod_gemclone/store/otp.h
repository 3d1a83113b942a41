/* SPDX-License-Identifier: Apache-2.0
 * One-time codes: issued, tried, used up.
 */
#ifndef GC_OTP_H
#define GC_OTP_H

#include "core/code.h"
#include "limit.h"
#include "session.h"

/* A new code. */
typedef struct gc_otp_t {
    const char *e164, *purpose;
    const gc_hash_t *hash; /* NULL: the gateway makes the code */
    apr_interval_time_t lifetime;
    const char *site;            /* whose gateway is to have it; NULL: nobody delivers it */
    const unsigned char *sealed; /* the code for it (core/code.h), or NULL */
    apr_size_t sealed_len;
    apr_int64_t budget; /* codes that may be delivered a day; < 0: any number */
} gc_otp_t;

/* Stores a code, which voids the number's older one of the same purpose. *known tells whether the
 * number has an account; the work done is the same either way. */
GC_MUST_CHECK apr_status_t gc_otp_issue(gc_db_t *db, apr_pool_t *pool, const gc_otp_t *otp,
                                        const gc_limit_uses_t *uses, int *known,
                                        gc_refusal_t *refusal);

typedef struct gc_otp_try_t {
    const char *e164, *purpose;
    const gc_hash_t *code; /* of gc_otp_verify */
    gc_limit_uses_t uses;
    gc_session_new_t session; /* to open if it is right */
} gc_otp_try_t;

/* Tries a code; a right one is used up and opens the session. GC_ENOENT: wrong, used, expired,
 * unknown number or, as *refusal tells then, too many tries. */
GC_MUST_CHECK apr_status_t gc_otp_verify(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                                         gc_uuid_t *user, gc_refusal_t *refusal);

/* The same in two steps, for codes that only the gateway knows. First the try is counted; *is_open:
 * there is a code for this purpose that the gateway may know. */
GC_MUST_CHECK apr_status_t gc_otp_ask(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                                      int *is_open, gc_refusal_t *refusal);

/* Then, if it has said that the code is right. GC_ENOENT: another request has used it up. */
GC_MUST_CHECK apr_status_t gc_otp_confirm(gc_db_t *db, apr_pool_t *pool,
                                          const gc_otp_try_t *attempt, gc_uuid_t *user);

#endif
