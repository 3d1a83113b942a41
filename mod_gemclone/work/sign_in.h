/* SPDX-License-Identifier: Apache-2.0
 * Signing in where it takes its time: with a password, which is hashed, or with a code that only
 * the gateway knows. And changing a password, which is the same work. Errands (errand.h).
 */
#ifndef GC_SIGN_IN_H
#define GC_SIGN_IN_H

#include "core/password.h"
#include "courier.h"
#include "errand.h"
#include "hashing.h"
#include "store/otp.h"
#include "store/password.h"

typedef struct gc_sign_in_t {
    gc_errand_t errand; /* first, so that one is the other */
    /* Once it is done. APR_SUCCESS; GC_ENOENT: number, password or code are wrong; GC_EEXIST:
     * another request was first; GC_EGONE: the session has ended; GC_EUNAVAILABLE and what else
     * gc_db_run returns. */
    apr_status_t outcome;
    gc_refusal_t refusal; /* with GC_ENOENT: too many tries */
    int is_busy, is_away; /* with GC_EUNAVAILABLE: too many hash passwords, the gateway */
    gc_uuid_t user;       /* who has signed in */
} gc_sign_in_t;

typedef struct gc_password_place_t {
    gc_db_t *db;
    gc_hashing_t *hashing;
    gc_password_cost_t cost;
} gc_password_place_t;

/* Any thread. Everything is copied. */
gc_sign_in_t *gc_sign_in_by_password(const gc_password_place_t *place, const char *e164,
                                     const char *password, const gc_limit_uses_t *uses,
                                     const gc_session_new_t *session);

/* change: as gc_password_set has it, but for the hashes, which are made here. current: NULL where
 * there is none to be shown (of a reset), or none was. */
gc_sign_in_t *gc_sign_in_change_password(const gc_password_place_t *place,
                                         const gc_password_change_t *change, const char *current,
                                         const char *password);

/* The try is taken already. */
gc_sign_in_t *gc_sign_in_by_gateway(gc_courier_t *courier, const gc_otp_try_t *attempt,
                                    const char *code);

#endif
