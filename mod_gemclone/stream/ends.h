/* SPDX-License-Identifier: Apache-2.0
 * Asks Postgres which replies have ended, many at a time, from a thread that may block.
 */
#ifndef GC_ENDS_H
#define GC_ENDS_H

#include "store/message.h"
#include "work/companion.h"

/* What Postgres said of a reply, on the loop. description: as gc_ends_options_t.describe made
 * it, NULL where the reply is gone. It is all void after the call. */
typedef void gc_ends_found_cb(void *baton, apr_int64_t reply, const gc_reply_end_t *end,
                              const char *description);

typedef struct gc_ends_options_t {
    gc_companion_t *companion;
    gc_db_t *db;
    const char *(*describe)(apr_pool_t *pool, const gc_reply_ref_t *ref,
                            const gc_message_t *message);
    gc_ends_found_cb *found;
    /* All that was found was told: the reply may be asked for again. */
    void (*answered)(void *baton, apr_int64_t reply);
    void *baton;
} gc_ends_options_t;

typedef struct gc_ends_t gc_ends_t;

/* On the loop. Lives as long as the pool. */
gc_ends_t *gc_loop_ends_create(apr_pool_t *pool, const gc_ends_options_t *options);

/* One that is asked for waits for at most a few statements. */
void gc_loop_ends_ask(gc_ends_t *ends, const gc_reply_ref_t *ref);

#endif
