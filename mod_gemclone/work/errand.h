/* SPDX-License-Identifier: Apache-2.0
 * Something that is asked of somebody outside and takes its time, while somebody waits for it.
 */
#ifndef GC_ERRAND_H
#define GC_ERRAND_H

#include "loop.h"

typedef struct gc_errand_t gc_errand_t;
struct gc_errand_t {
    /* On the loop: sets about it. It has a bound, and calls done once, then or later. */
    void (*begin)(gc_errand_t *errand);
    /* On the loop, before begin or after it: nobody waits any more, and done is not to be called.
     */
    void (*forget)(gc_errand_t *errand);
    /* Whoever waits sets these before begin. On the loop. */
    void (*done)(gc_errand_t *errand);
    void *waiter;
    gc_loop_task_t task;
};

#endif
