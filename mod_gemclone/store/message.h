/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies. Each function sees the rooms of one user only.
 */
#ifndef GC_MESSAGE_H
#define GC_MESSAGE_H

#include <apr_tables.h>

#include "core/code.h"
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

/* A quota of so many prompts; negative: none. */
typedef struct gc_quota_t {
    apr_int64_t basic, pro;
} gc_quota_t;

typedef struct gc_prompt_t {
    const gc_uuid_t *user, *room;
    const char *content;
    int tokens; /* estimated */
    const char *site;
    gc_quota_t quota;
    const char *key;              /* Idempotency-Key, or NULL */
    const gc_hash_t *fingerprint; /* of the request that the key came with */
} gc_prompt_t;

typedef enum {
    GC_SENT,
    GC_SENT_BEFORE,  /* the Idempotency-Key's first answer */
    GC_SENT_NO_ROOM, /* missing, or somebody else's */
    GC_SENT_QUOTA,
    GC_SENT_KEY_REUSED
} gc_sent_e;

typedef struct gc_sent_t {
    gc_sent_e outcome;
    apr_int64_t message, reply; /* ids */
    apr_time_t created;
    apr_int64_t used, limit; /* today's prompts; limit < 0: unlimited */
} gc_sent_t;

/* The prompt, the reply that it is owed and the job are durable when this returns. */
GC_MUST_CHECK apr_status_t gc_message_send(gc_db_t *db, apr_pool_t *pool, const gc_prompt_t *prompt,
                                           gc_sent_t *sent);

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
