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
} gc_message_t;

/* A room's messages, oldest first: all of them (limit 0), or limit of them after
 * an id (0: from the start). *messages is an array of gc_message_t. GC_ENOENT:
 * the room is missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_message_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                           const gc_uuid_t *room, int limit, apr_int64_t after,
                                           apr_array_header_t **messages);

/* GC_ENOENT: missing, or somebody else's. */
GC_MUST_CHECK apr_status_t gc_message_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                          const gc_uuid_t *room, apr_int64_t id,
                                          gc_message_t *message);

#endif
