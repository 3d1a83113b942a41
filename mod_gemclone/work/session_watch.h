/* SPDX-License-Identifier: Apache-2.0
 * Keeps core/ended.h up to date: which sessions were ended, wherever that was.
 *
 * Postgres is asked twice a second, and at once when somebody says over Redis that there is
 * something new. So the access tokens of a session that has ended, whoever ended it, are refused by
 * every process within a second, also while Redis hangs, and no request asks anybody.
 * A process that cannot reach Postgres goes on with what it knows: until it can, a token is good
 * for its own life at most.
 */
#ifndef GC_SESSION_WATCH_H
#define GC_SESSION_WATCH_H

#include "companion.h"
#include "core/ended.h"
#include "store/db.h"
#include "store/link.h"

typedef struct gc_session_watch_options_t {
    gc_companion_t *companion;
    gc_db_t *db;
    gc_ended_t *ended;
    gc_link_t *link;              /* or NULL: there is no Redis */
    const char *prefix;           /* of all names in Redis */
    apr_interval_time_t patience; /* for how long the transaction of an end may go on */
} gc_session_watch_options_t;

typedef struct gc_session_watch_t gc_session_watch_t;

/* On the loop; lives as long as the pool, which must be cleared on its thread. */
GC_MUST_CHECK apr_status_t gc_loop_session_watch_start(apr_pool_t *pool,
                                                       const gc_session_watch_options_t *options,
                                                       gc_session_watch_t **watch);

/* Another thread, once: waits until Postgres was asked for the first time, whether or not it has
 * answered, and no longer than so many seconds. */
void gc_session_watch_await(gc_session_watch_t *watch, int seconds);

/* Any thread: sessions were ended here. */
void gc_session_watch_tell(gc_session_watch_t *watch);

#endif
