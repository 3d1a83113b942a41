/* SPDX-License-Identifier: Apache-2.0
 * What runs beside the request threads of a child.
 */
#include "companion.h"

#include <apr_thread_cond.h>
#include <apr_thread_pool.h>
#include <stdlib.h>

struct gc_companion_t {
    gc_loop_t *loop;
    apr_thread_pool_t *threads;
    apr_thread_mutex_t *mutex; /* guards what follows */
    apr_thread_cond_t *idle;   /* the loop has ended, and nothing is pushed */
    int has_ended;
    int pushed; /* tasks that are not done */
};

typedef struct {
    gc_companion_t *companion;
    void (*call)(void *baton);
    void *baton;
} task_t;

static void count(gc_companion_t *c, int tasks, int ended)
{
    apr_thread_mutex_lock(c->mutex);
    c->pushed += tasks;
    c->has_ended |= ended;
    if (c->has_ended && c->pushed == 0) {
        apr_thread_cond_signal(c->idle);
    }
    apr_thread_mutex_unlock(c->mutex);
}

static void *APR_THREAD_FUNC loop_thread(apr_thread_t *thread, void *baton)
{
    gc_companion_t *c = baton;

    (void)thread;
    gc_loop_run(c->loop);
    count(c, 0, 1);
    return NULL;
}

static void *APR_THREAD_FUNC task_thread(apr_thread_t *thread, void *baton)
{
    task_t task = *(task_t *)baton;

    (void)thread;
    free(baton);
    task.call(task.baton);
    count(task.companion, -1, 0);
    return NULL;
}

apr_status_t gc_companion_start(apr_pool_t *pool, int threads, gc_companion_t **companion)
{
    gc_companion_t *c = apr_pcalloc(pool, sizeof(*c));
    apr_size_t count = (apr_size_t)threads + 1;
    apr_status_t rv = gc_loop_create(pool, &c->loop);

    if (rv != APR_SUCCESS
        || (rv = apr_thread_mutex_create(&c->mutex, APR_THREAD_MUTEX_DEFAULT, pool)) != APR_SUCCESS
        || (rv = apr_thread_cond_create(&c->idle, pool)) != APR_SUCCESS
        || (rv = apr_thread_pool_create(&c->threads, count, count, pool)) != APR_SUCCESS) {
        return rv;
    }
    *companion = c;
    return apr_thread_pool_push(c->threads, loop_thread, c, APR_THREAD_TASK_PRIORITY_HIGHEST, c);
}

static void push(gc_companion_t *companion, void (*call)(void *baton), void *baton,
                 apr_byte_t priority)
{
    task_t *task = malloc(sizeof(*task));

    if (!task) {
        abort(); /* as APR does: httpd starts another child, and leases run out */
    }
    task->companion = companion;
    task->call = call;
    task->baton = baton;
    count(companion, 1, 0);
    if (apr_thread_pool_push(companion->threads, task_thread, task, priority, companion)
        != APR_SUCCESS) {
        abort();
    }
}

void gc_companion_push(gc_companion_t *companion, void (*call)(void *baton), void *baton)
{
    push(companion, call, baton, APR_THREAD_TASK_PRIORITY_NORMAL);
}

void gc_companion_push_first(gc_companion_t *companion, void (*call)(void *baton), void *baton)
{
    push(companion, call, baton, APR_THREAD_TASK_PRIORITY_HIGH);
}

apr_pool_t *gc_companion_pool(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (apr_allocator_create(&allocator) != APR_SUCCESS
        || apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS) {
        abort(); /* as APR does without memory: leases run out, another process takes over */
    }
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

gc_loop_t *gc_companion_loop(const gc_companion_t *companion)
{
    return companion->loop;
}

/* An APR thread pool that is being destroyed takes no more tasks, and forgets those
 * that wait. */
void gc_companion_join(gc_companion_t *companion)
{
    apr_thread_mutex_lock(companion->mutex);
    while (!companion->has_ended || companion->pushed) {
        apr_thread_cond_wait(companion->idle, companion->mutex);
    }
    apr_thread_mutex_unlock(companion->mutex);
    apr_thread_pool_destroy(companion->threads);
}
