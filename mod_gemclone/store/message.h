/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies. Each function sees the rooms of one user only.
 */
#ifndef GC_MESSAGE_H
#define GC_MESSAGE_H

#include <apr_tables.h>

#include "db.h"

typedef struct gc_message_t {
    apr_int64_t id;
    apr_int64_t parent;        /* of a reply: the prompt's id; else 0 */
    const char *sender;        /* "user" or "gemini" */
    const char *content;       /* "" while the reply is owed */
    const char *status;        /* as API.md has them */
    const char *error;         /* of a failed reply, or NULL */
    const char *error_detail;  /* a sentence for people, or NULL */
    const char *finish_reason; /* Gemini's, or NULL */
    const char *model;         /* that answered, or NULL */
    apr_int64_t tokens;        /* what the text weighs */
    apr_int64_t prompt_tokens, cached_tokens, thought_tokens; /* -1: unknown */
    apr_time_t created;
    apr_time_t finished; /* 0: not yet */
    apr_int64_t fence;   /* of a reply that has ended: of the try that it came of */
    int superseded;      /* an older version of a reply */
} gc_message_t;

/* Whether a reply is owed no more. */
int gc_message_has_ended(const gc_message_t *message);

/* A room's messages, oldest first: all of them (limit 0), or limit of them after
 * an id (0: from the start). *messages is an array of gc_message_t. GC_ENOENT:
 * the room is missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_message_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           const gc_uuid_t *room, int limit, apr_int64_t after,
                                           apr_array_header_t **messages);

/* A page of all that was ever said in a room, older versions of replies too, after an id (0: from
 * the start): so much that it takes about 256 KiB, or one message. *more: there may be another
 * page. Else as gc_message_list. */
GC_MUST_CHECK apr_status_t gc_message_versions(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                               const gc_uuid_t *room, apr_int64_t after,
                                               apr_array_header_t **messages, int *more);

/* GC_ENOENT: missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_message_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                          const gc_uuid_t *room, apr_int64_t id,
                                          gc_message_t *message);

/* --- Replies as their readers and their users see them --------------------- */

/* Which reply of whose. */
typedef struct gc_reply_ref_t {
    gc_uuid_t user, room;
    apr_int64_t reply;
} gc_reply_ref_t;

/* What a DELETE of a user's gave: room and id of each reply that was owed or, where there was none,
 * NULLs. *owed is an array of gc_reply_ref_t. GC_ENOENT: nothing was deleted. */
GC_MUST_CHECK apr_status_t gc_replies_read_owed(apr_pool_t *pool, const gc_db_result_t *rows,
                                                const gc_uuid_t *user, apr_array_header_t **owed);

typedef struct gc_reply_end_t {
    int index;            /* in the array that was asked about */
    int gone;             /* the reply was deleted */
    gc_message_t message; /* unless it is gone */
} gc_reply_end_t;

/* Those of many replies, an array of gc_reply_ref_t, that are owed no more, in any
 * order. *ends is an array of gc_reply_end_t. */
GC_MUST_CHECK apr_status_t gc_replies_ended(gc_db_t *db, apr_pool_t *pool,
                                            const apr_array_header_t *replies,
                                            apr_array_header_t **ends);

typedef enum {
    GC_CANCEL_ENDED, /* it has ended by this */
    GC_CANCEL_ASKED, /* the process that has it was told, and ends it soon */
    GC_CANCEL_OVER   /* it had ended before */
} gc_cancel_e;

/* Stops a reply. *status is the one it has now; *next_due: the room has another
 * reply that became due by it. GC_ENOENT: missing, somebody else's, or no reply. */
GC_MUST_CHECK apr_status_t gc_reply_cancel(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           const gc_uuid_t *room, apr_int64_t reply,
                                           gc_cancel_e *outcome, const char **status,
                                           int *next_due);

#endif
