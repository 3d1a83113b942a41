/* SPDX-License-Identifier: Apache-2.0
 * Something that is asked of somebody outside and takes its time, while somebody waits for it.
 */
#ifndef GC_ERRAND_H
#define GC_ERRAND_H

#include <apr_pools.h>

#include "loop.h"

typedef struct gc_errand_t gc_errand_t;
struct gc_errand_t {
    apr_pool_t *pool; /* its own, with the errand in it: whoever waits may leave */
    /* On the loop: sets about it. It has a bound, and comes to gc_loop_errand_end. */
    void (*begin)(gc_errand_t *errand);
    /* Whoever waits sets these before it is begun; done is called once, on the loop. */
    void (*done)(gc_errand_t *errand);
    void *waiter;
    gc_loop_task_t task;
    int is_begun, is_forgotten; /* the loop's */
};

/* For whoever waits, who frees it once it is done, or instead of having it begun. */
void gc_loop_errand_begin(gc_errand_t *errand);
void gc_errand_free(gc_errand_t *errand);

/* Nobody waits any more, be it begun or not: done is not called, and it goes by itself. */
void gc_loop_errand_forget(gc_errand_t *errand);

/* For the errand itself: the last that it does; the second from any other thread. */
void gc_loop_errand_end(gc_errand_t *errand);
void gc_errand_end(gc_errand_t *errand, gc_loop_t *loop);

#endif
