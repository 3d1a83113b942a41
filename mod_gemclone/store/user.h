/* SPDX-License-Identifier: Apache-2.0
 * Accounts.
 */
#ifndef GC_USER_H
#define GC_USER_H

#include "db.h"

typedef struct gc_user_t {
    gc_uuid_t id;
    const char *mobile_number; /* as it was written at signup */
    const char *name;          /* or NULL */
    const char *tier;          /* "basic" or "pro" */
    apr_time_t created;
} gc_user_t;

/* Opens an account. GC_EEXIST: the number has one. */
GC_MUST_CHECK apr_status_t gc_user_create(gc_db_t *db, apr_pool_t *pool, const char *e164,
                                          const char *mobile_number, const char *name,
                                          gc_uuid_t *id);

/* All that is the user's goes along. GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id);

/* GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                       gc_user_t *user);

#endif
