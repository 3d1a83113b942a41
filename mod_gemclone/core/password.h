/* SPDX-License-Identifier: Apache-2.0
 * Passwords, as Argon2id hashes (RFC 9106) in libsodium's text form, which tells salt and cost.
 *
 * Each call takes as much memory and time as its cost says: see work/hashing.h for who may.
 */
#ifndef GC_PASSWORD_H
#define GC_PASSWORD_H

#include <apr_pools.h>

#include "status.h"

/* What a hash costs whoever makes or tries one. */
typedef struct gc_password_cost_t {
    apr_size_t memory; /* bytes, at least 8 KiB */
    unsigned passes;
} gc_password_cost_t;

/* The hash to store, in the pool. APR_ENOMEM. */
GC_MUST_CHECK apr_status_t gc_password_hash(apr_pool_t *pool, const gc_password_cost_t *cost,
                                            const char *password, const char **hash);

/* Whether a password is the one of a hash. Without a hash (NULL) it is not, and takes as long: a
 * clock is not to tell which accounts there are. */
int gc_password_is(const gc_password_cost_t *cost, const char *hash, const char *password);

/* Whether a hash has another cost than it would have today. */
int gc_password_is_outdated(const gc_password_cost_t *cost, const char *hash);

#endif
