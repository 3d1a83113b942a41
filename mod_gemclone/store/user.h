/* SPDX-License-Identifier: Apache-2.0
 * Accounts.
 */
#ifndef GC_USER_H
#define GC_USER_H

#include <apr_tables.h>

#include "db.h"
#include "key.h"
#include "limit.h"

typedef struct gc_user_t {
    gc_uuid_t id;
    const char *mobile_number; /* as it was written at signup */
    const char *name;          /* or NULL */
    const char *tier;          /* "basic" or "pro" */
    apr_time_t created;
} gc_user_t;

typedef struct gc_signup_t {
    const char *e164, *mobile_number; /* the latter as it was written */
    const char *name;                 /* or NULL */
    const gc_key_t *key;
    gc_limit_uses_t uses;
} gc_signup_t;

/* Opens an account, or finds the one that was opened under the key; or does not, as *refusal tells.
 * GC_EEXIST: the number has another one. GC_EREUSED. */
GC_MUST_CHECK apr_status_t gc_user_create(gc_db_t *db, apr_pool_t *pool, const gc_signup_t *signup,
                                          gc_uuid_t *id, gc_refusal_t *refusal);

/* All that is the user's goes along. *owed is an array of gc_reply_ref_t: the replies that were
 * owed. GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                          apr_array_header_t **owed);

/* GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                       gc_user_t *user);

/* GC_ENOENT: the number has no account. */
GC_MUST_CHECK apr_status_t gc_user_find(gc_db_t *db, apr_pool_t *pool, const char *e164,
                                        gc_user_t *user);

/* What to change; a member that is not to be set stays. */
typedef struct gc_user_change_t {
    int set_name;
    const char *name;
} gc_user_change_t;

/* *user is the account after it. GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_change(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                          const gc_user_change_t *change, gc_user_t *user);

typedef struct gc_usage_count_t {
    apr_int64_t prompts, input_tokens, output_tokens;
} gc_usage_count_t;

/* What was used of a quota, by days and months in UTC as Postgres' clock has them. */
typedef struct gc_usage_t {
    const char *tier;
    apr_time_t resets; /* when today is over */
    gc_usage_count_t today, month;
} gc_usage_t;

/* GC_ENOENT: there is no such user any more. */
GC_MUST_CHECK apr_status_t gc_user_usage(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                         gc_usage_t *usage);

typedef struct gc_usage_day_t {
    const char *day; /* "2026-11-23" */
    gc_usage_count_t count;
} gc_usage_day_t;

/* Each day on which there was a prompt, from the first on. *days is an array of gc_usage_day_t. */
GC_MUST_CHECK apr_status_t gc_user_usage_days(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                              apr_array_header_t **days);

#endif
