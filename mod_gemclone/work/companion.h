/* SPDX-License-Identifier: Apache-2.0
 * What runs beside the request threads of a child: one APR thread pool. One of
 * its threads is the loop's; the others do what blocks.
 */
#ifndef GC_COMPANION_H
#define GC_COMPANION_H

#include <apr_time.h>

#include "loop.h"

typedef struct gc_companion_t gc_companion_t;

/* Starts the loop and so many threads for what blocks. Never before the fork. */
GC_MUST_CHECK apr_status_t gc_companion_start(apr_pool_t *pool, int threads,
                                              gc_companion_t **companion);

/* Any thread: has call(baton) called on a thread that may block. */
void gc_companion_push(gc_companion_t *companion, void (*call)(void *baton), void *baton);

/* The same, before all that wait. */
void gc_companion_push_first(gc_companion_t *companion, void (*call)(void *baton), void *baton);

/* Any thread: a pool with an allocator of its own, for what goes from thread to thread; without
 * locks, since one thread at a time uses it. Whoever is last destroys it. */
apr_pool_t *gc_companion_pool(void);

gc_loop_t *gc_companion_loop(const gc_companion_t *companion);

/* Any other thread: waits until the loop has ended (see gc_loop_end) and all that
 * was pushed is done, then joins the threads. Call it before pools are cleared that
 * they use. */
void gc_companion_join(gc_companion_t *companion);

#endif
