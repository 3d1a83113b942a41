/* SPDX-License-Identifier: Apache-2.0
 * Something that is asked of somebody outside.
 */
#include "errand.h"

void gc_loop_errand_begin(gc_errand_t *errand)
{
    errand->is_begun = 1;
    errand->begin(errand);
}

void gc_loop_errand_forget(gc_errand_t *errand)
{
    errand->is_forgotten = 1;
    if (!errand->is_begun) {
        gc_errand_free(errand);
    }
}

void gc_loop_errand_end(gc_errand_t *errand)
{
    if (errand->is_forgotten) {
        gc_errand_free(errand);
    } else {
        errand->done(errand);
    }
}

static void end_task(void *baton)
{
    gc_loop_errand_end(baton);
}

void gc_errand_end(gc_errand_t *errand, gc_loop_t *loop)
{
    errand->task = (gc_loop_task_t){.call = end_task, .baton = errand};
    gc_loop_post(loop, &errand->task);
}

void gc_errand_free(gc_errand_t *errand)
{
    apr_pool_destroy(errand->pool);
}
