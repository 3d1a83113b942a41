/* SPDX-License-Identifier: Apache-2.0
 * Turns at hashing passwords, which takes much memory and all of a core: no more at once than
 * there is memory for, on threads that may block, and a bounded line of those that wait.
 */
#ifndef GC_HASHING_H
#define GC_HASHING_H

#include <apr_ring.h>

#include "companion.h"

typedef struct gc_hashing_t gc_hashing_t;

/* One turn. The caller's, who sets the first three. */
typedef struct gc_turn_t gc_turn_t;
struct gc_turn_t {
    void (*call)(void *baton); /* on a thread, when its turn has come */
    void (*done)(void *baton); /* then, on the loop; the turn is not touched afterwards */
    void *baton;
    APR_RING_ENTRY(gc_turn_t) link;
    gc_loop_task_t task;
    gc_hashing_t *hashing;
};

/* On the loop; lives as long as the pool. most: turns at once. */
gc_hashing_t *gc_loop_hashing_create(apr_pool_t *pool, gc_companion_t *companion, int most);

/* 0: too many wait, and nothing will be called. */
GC_MUST_CHECK int gc_loop_hashing_take(gc_hashing_t *hashing, gc_turn_t *turn);

#endif
