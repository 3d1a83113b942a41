/* SPDX-License-Identifier: Apache-2.0
 * Chatrooms. Each function sees the rooms of one user only.
 */
#ifndef GC_CHATROOM_H
#define GC_CHATROOM_H

#include <apr_tables.h>

#include "core/cursor.h"
#include "db.h"
#include "key.h"

typedef struct gc_chatroom_t {
    gc_uuid_t id;
    const char *title;
    const char *system_prompt; /* or NULL: the server's */
    const char *model;         /* or NULL: the server's */
    apr_time_t created;
} gc_chatroom_t;

/* Makes a room, or finds out which one was made under the key: *made is as it was then. GC_EGONE:
 * the user is gone. GC_EREUSED. */
GC_MUST_CHECK apr_status_t gc_chatroom_create(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                              const gc_chatroom_t *wanted, const gc_key_t *key,
                                              gc_chatroom_t *made);

/* GC_ENOENT: missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_chatroom_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           const gc_uuid_t *id, gc_chatroom_t *room);

/* The user's rooms, newest first: all of them (limit 0), or limit of them, after
 * a cursor (whose number is the time of creation) or from the start (NULL).
 * *rooms is an array of gc_chatroom_t. */
GC_MUST_CHECK apr_status_t gc_chatroom_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                            int limit, const gc_cursor_t *after,
                                            apr_array_header_t **rooms);

/* What to change; a member that is not to be set stays. */
typedef struct gc_chatroom_change_t {
    int set_title, set_system_prompt, set_model;
    const char *title, *system_prompt, *model;
} gc_chatroom_change_t;

/* GC_ENOENT: missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_chatroom_change(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                              const gc_uuid_t *id,
                                              const gc_chatroom_change_t *change,
                                              gc_chatroom_t *room);

/* With its messages and jobs. *owed is an array of gc_reply_ref_t: its replies that were owed.
 * GC_ENOENT: missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_chatroom_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                              const gc_uuid_t *id, apr_array_header_t **owed);

#endif
