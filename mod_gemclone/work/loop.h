/* SPDX-License-Identifier: Apache-2.0
 * The loop: one thread that owns every upstream transfer, every timer and the
 * Redis subscription. It never blocks. Functions called gc_loop_… are legal on
 * it only, unless they say otherwise.
 */
#ifndef GC_LOOP_H
#define GC_LOOP_H

#include <apr_pools.h>
#include <event2/event.h>

#include "core/status.h"

typedef struct gc_loop_t gc_loop_t;

/* Something to do on the loop. It is the caller's, mostly a member of a larger
 * thing, and must stay as it is until it is called. */
typedef struct gc_loop_task_t gc_loop_task_t;
struct gc_loop_task_t {
    void (*call)(void *baton);
    void *baton;
    gc_loop_task_t *next;
};

/* Any thread; the loop does not run yet. Freed with the pool, after the loop has ended. */
GC_MUST_CHECK apr_status_t gc_loop_create(apr_pool_t *pool, gc_loop_t **loop);

/* Makes the calling thread the loop's, until gc_loop_end. */
void gc_loop_run(gc_loop_t *loop);

/* Any thread: has task->call(task->baton) called on the loop, in the order of posting. */
void gc_loop_post(gc_loop_t *loop, gc_loop_task_t *task);

/* Lets gc_loop_run return once what has been posted is done. */
void gc_loop_end(gc_loop_t *loop);

struct event_base *gc_loop_base(gc_loop_t *loop);

#endif
