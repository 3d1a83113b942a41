/* SPDX-License-Identifier: Apache-2.0
 * Sends prompts: those of requests that are at work at the same time go together,
 * in one statement and one commit.
 *
 * A prompt that finds nobody sending goes at once, alone. Those that come while it
 * is on its way wait for its end and then go together; one of their threads
 * sends for all. So nobody waits longer than for the statement before his own,
 * and the more there is to do, the less each prompt costs. A prompt that would make
 * the others wait, since its room is locked, is left out and sent alone.
 */
#ifndef GC_SENDER_H
#define GC_SENDER_H

#include "core/trace.h"
#include "db.h"
#include "key.h"

/* A quota of so many prompts; negative: none. */
typedef struct gc_quota_t {
    apr_int64_t basic, pro;
} gc_quota_t;

typedef struct gc_prompt_t {
    const gc_uuid_t *user, *room;
    const char *content;
    int tokens; /* estimated */
    const gc_key_t *key;
    const gc_trace_t *trace; /* where it was asked for; or NULL */
} gc_prompt_t;

typedef enum {
    GC_SENT,
    GC_SENT_BEFORE,  /* the Idempotency-Key's first answer */
    GC_SENT_NO_ROOM, /* missing, or somebody else's */
    GC_SENT_QUOTA,
    GC_SENT_OWED, /* the user is owed as many replies as may be */
    GC_SENT_KEY_REUSED,
    GC_SENT_NOT_LAST, /* of gc_sender_regenerate: the reply is not its room's last, or not over */
    GC_SENT_BUSY /* never seen outside: the room was locked, and the prompt goes again, alone */
} gc_sent_e;

typedef struct gc_sent_t {
    gc_sent_e outcome;
    apr_int64_t message, reply; /* ids */
    apr_time_t created;
    apr_int64_t used, limit; /* today's prompts; limit < 0: unlimited */
} gc_sent_t;

typedef struct gc_sender_options_t {
    gc_db_t *db;
    const char *site;
    gc_quota_t quota;
    apr_int64_t owed;             /* replies that a user may be owed at once; negative: any */
    apr_interval_time_t patience; /* the longest wait for others' prompts to be sent */
} gc_sender_options_t;

typedef struct gc_sender_t gc_sender_t;

/* Lives as long as the pool. */
GC_MUST_CHECK apr_status_t gc_sender_create(apr_pool_t *pool, const gc_sender_options_t *options,
                                            gc_sender_t **sender);

/* The prompt, the reply that it is owed and the job are durable when this
 * returns. From any thread that may block; the pool is the calling thread's. */
GC_MUST_CHECK apr_status_t gc_sender_send(gc_sender_t *sender, apr_pool_t *pool,
                                          const gc_prompt_t *prompt, gc_sent_t *sent);

/* Has another reply generated in the place of a room's last one. Of the prompt only user,
 * room, key and trace count; sent->message is the id of the one that is answered anew. */
GC_MUST_CHECK apr_status_t gc_sender_regenerate(gc_sender_t *sender, apr_pool_t *pool,
                                                const gc_prompt_t *prompt, apr_int64_t reply,
                                                gc_sent_t *sent);

#endif
