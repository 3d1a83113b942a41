/* SPDX-License-Identifier: Apache-2.0
 * Sessions: opened by signing in, refreshed, listed, ended.
 */
#ifndef GC_SESSION_H
#define GC_SESSION_H

#include <apr_tables.h>

#include "core/code.h"
#include "db.h"

/* One that a statement is to open. */
typedef struct gc_session_new_t {
    gc_uuid_t id;
    const gc_hash_t *refresh; /* the hash of its refresh token, or NULL: it cannot be refreshed */
    apr_time_t access_until;  /* when its access token expires */
    apr_interval_time_t idle, life;
    const char *client; /* or NULL */
    int most;           /* sessions that a user may have */
} gc_session_new_t;

/* As the arguments from p_session on. */
void gc_session_add(gc_db_params_t *params, const gc_session_new_t *session);

typedef struct gc_session_t {
    gc_uuid_t id;
    apr_time_t created, used, expires;
    const char *client; /* or NULL */
} gc_session_t;

typedef struct gc_session_refresh_t {
    gc_uuid_t session;
    gc_hash_t hash, next;      /* of the token that was shown, and of its successor */
    int is_genuine;            /* the token is ours, whether or not it is good */
    apr_interval_time_t reuse; /* for how long two may come with the same token */
    apr_time_t access_until;   /* of the access token that is asked for */
    apr_interval_time_t idle;
} gc_session_refresh_t;

/* *access_until: what the access token gets of that, which is no longer than the session.
 * GC_ENOENT: no such session, or not its token. GC_EGONE: the session has ended with this; *reused
 * tells that somebody else has, or had, the token. */
GC_MUST_CHECK apr_status_t gc_session_refresh(gc_db_t *db, apr_pool_t *pool,
                                              const gc_session_refresh_t *refresh, gc_uuid_t *user,
                                              apr_time_t *access_until, int *reused);

/* A user's sessions, the one used last first: gc_session_t. */
GC_MUST_CHECK apr_status_t gc_session_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           apr_array_header_t **sessions);

/* Ends one of a user's sessions. GC_ENOENT: there is no such one. */
GC_MUST_CHECK apr_status_t gc_session_end(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                          const gc_uuid_t *session);

/* Ends all of them. */
GC_MUST_CHECK apr_status_t gc_session_end_all(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user);

/* Tells of each session that has ended within a while and whose access tokens are good by
 * themselves, until when. */
GC_MUST_CHECK apr_status_t gc_session_ended(
    gc_db_t *db, apr_pool_t *pool, apr_interval_time_t within,
    void (*tell)(void *baton, const gc_uuid_t *session, apr_time_t until), void *baton);

#endif
