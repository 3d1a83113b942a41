/* SPDX-License-Identifier: Apache-2.0
 * The loop: an event base, and a queue for other threads to reach it.
 */
#include "loop.h"

#include <apr_thread_mutex.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct gc_loop_t {
    struct event_base *base;
    struct event *wake;
    int fd;
    apr_thread_mutex_t *mutex;     /* guards the queue */
    gc_loop_task_t *first, **last; /* tasks in the order of posting */
    int ended;
};

/* Whether nothing was posted since the queue was read last. */
static int is_idle(gc_loop_t *loop)
{
    int idle;

    apr_thread_mutex_lock(loop->mutex);
    idle = !loop->first;
    apr_thread_mutex_unlock(loop->mutex);
    return idle;
}

/* One wake-up serves all tasks that were posted before it is read. */
static void wake_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_loop_t *loop = baton;
    gc_loop_task_t *task;
    eventfd_t count;

    (void)what;
    eventfd_read(fd, &count);
    apr_thread_mutex_lock(loop->mutex);
    task = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    apr_thread_mutex_unlock(loop->mutex);
    while (task) {
        gc_loop_task_t *next = task->next; /* the call may free or post it again */

        task->call(task->baton);
        task = next;
    }
    if (loop->ended && is_idle(loop)) {
        event_base_loopbreak(loop->base);
    }
}

static apr_status_t destroy_cb(void *baton)
{
    gc_loop_t *loop = baton;

    if (loop->wake) {
        event_free(loop->wake);
    }
    if (loop->base) {
        event_base_free(loop->base);
    }
    close(loop->fd);
    return APR_SUCCESS;
}

apr_status_t gc_loop_create(apr_pool_t *pool, gc_loop_t **loop)
{
    gc_loop_t *l = apr_pcalloc(pool, sizeof(*l));
    apr_status_t rv = apr_thread_mutex_create(&l->mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    l->last = &l->first;
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->fd < 0) {
        return APR_FROM_OS_ERROR(errno);
    }
    apr_pool_cleanup_register(pool, l, destroy_cb, apr_pool_cleanup_null);
    l->base = event_base_new();
    l->wake = l->base ? event_new(l->base, l->fd, EV_READ | EV_PERSIST, wake_cb, l) : NULL;
    if (!l->wake || event_add(l->wake, NULL) != 0) {
        return APR_ENOMEM;
    }
    *loop = l;
    return APR_SUCCESS;
}

void gc_loop_run(gc_loop_t *loop)
{
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void gc_loop_post(gc_loop_t *loop, gc_loop_task_t *task)
{
    int was_empty;

    task->next = NULL;
    apr_thread_mutex_lock(loop->mutex);
    was_empty = !loop->first;
    *loop->last = task;
    loop->last = &task->next;
    apr_thread_mutex_unlock(loop->mutex);
    if (was_empty) {
        eventfd_write(loop->fd, 1);
    }
}

void gc_loop_end(gc_loop_t *loop)
{
    loop->ended = 1;
    eventfd_write(loop->fd, 1);
}

struct event_base *gc_loop_base(gc_loop_t *loop)
{
    return loop->base;
}
