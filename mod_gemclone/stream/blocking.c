/* SPDX-License-Identifier: Apache-2.0
 * Streams that the request's own thread writes: where connections cannot be suspended.
 *
 * The loop puts frames into a queue; the thread takes them out, writes and waits for more. It
 * never leaves before the loop has said goodbye: what the loop holds is in the request's pool.
 */
#include "stream.h"

#include <ap_mpm.h>
#include <apr_thread_cond.h>
#include <errno.h>
#include <http_protocol.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "replay.h"
#include "stream_internal.h"

/* --- A bound for the whole host ------------------------------------------ */

/* Children, each with the number of its places of each kind. */
enum { SLOTS = GC_STREAMS_SHARED / ((1 + GC_PLACES) * sizeof(apr_uint32_t)) };

struct gc_streams_shared_t {
    struct {
        apr_uint32_t pid, counts[GC_PLACES]; /* atomic */
    } slots[SLOTS];
};

static int is_dead(apr_uint32_t pid)
{
    return pid == 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

/* The slot of this process: found, or taken from a process that is no more. -1: all are taken. */
static int own_slot(gc_streams_shared_t *shared)
{
    static int own = -1;
    apr_uint32_t me = (apr_uint32_t)getpid();
    int i;

    if (own >= 0 && __atomic_load_n(&shared->slots[own].pid, __ATOMIC_ACQUIRE) == me) {
        return own;
    }
    for (i = 0; i < SLOTS; i++) {
        apr_uint32_t pid = __atomic_load_n(&shared->slots[i].pid, __ATOMIC_ACQUIRE);

        if ((pid == me || is_dead(pid)) /* one of that number may have died before us */
            && __atomic_compare_exchange_n(&shared->slots[i].pid, &pid, me, 0, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
            __atomic_store_n(&shared->slots[i].counts[GC_PLACE_STREAM], 0, __ATOMIC_RELEASE);
            __atomic_store_n(&shared->slots[i].counts[GC_PLACE_WAIT], 0, __ATOMIC_RELEASE);
            own = i;
            return i;
        }
    }
    return -1;
}

/* Threads of a child that come here at the same time for the first time would take a slot each:
 * they take turns. */
static int own_slot_locked(gc_streams_shared_t *shared)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int own;

    pthread_mutex_lock(&mutex);
    own = own_slot(shared);
    pthread_mutex_unlock(&mutex);
    return own;
}

static apr_int64_t count_all(gc_streams_shared_t *shared, gc_place_e place)
{
    apr_int64_t all = 0;
    int i;

    for (i = 0; i < SLOTS; i++) {
        apr_uint32_t count = __atomic_load_n(&shared->slots[i].counts[place], __ATOMIC_ACQUIRE);

        if (count && !is_dead(__atomic_load_n(&shared->slots[i].pid, __ATOMIC_ACQUIRE))) {
            all += count;
        }
    }
    return all;
}

int gc_blocking_enter(gc_streams_shared_t *shared, gc_place_e place, apr_int64_t most)
{
    int own = own_slot_locked(shared);

    if (own < 0) {
        return 0;
    }
    __atomic_add_fetch(&shared->slots[own].counts[place], 1, __ATOMIC_ACQ_REL);
    if (count_all(shared, place) > most) {
        gc_blocking_leave(shared, place);
        return 0;
    }
    return 1;
}

void gc_blocking_leave(gc_streams_shared_t *shared, gc_place_e place)
{
    int own = own_slot_locked(shared);

    if (own >= 0) {
        __atomic_sub_fetch(&shared->slots[own].counts[place], 1, __ATOMIC_ACQ_REL);
    }
}

/* --- The queue ----------------------------------------------------------- */

/* The loop fills a queue no further once it is full, but for the end of a reply. */
#define MOST_QUEUED ((apr_size_t)1024 * 1024 * 1024)

typedef struct {
    gc_viewer_t viewer; /* first, so that one is the other */
    gc_streams_t *streams;
    request_rec *r;
    apr_thread_mutex_t *mutex; /* guards what follows */
    apr_thread_cond_t *changed;
    gc_membuf_t queues[2];
    int filled;  /* the one of them that the loop fills; the other is the thread's */
    int is_full; /* the loop waits for ready */
    int is_gone; /* the thread writes no more */
    int has_ended, is_dropped, has_left;
    gc_loop_task_t ready, leave;
} blocking_t;

static int enqueue(gc_viewer_t *viewer, const char *bytes, apr_size_t len)
{
    blocking_t *b = (blocking_t *)viewer;
    gc_membuf_t *queue;
    int state = GC_VIEWER_GONE;

    apr_thread_mutex_lock(b->mutex);
    queue = &b->queues[b->filled];
    if (!b->is_gone && gc_membuf_append(queue, bytes, len) == APR_SUCCESS) {
        b->is_full = queue->length >= b->streams->options.buffer;
        state = b->is_full ? GC_VIEWER_FULL : GC_VIEWER_READY;
        apr_thread_cond_signal(b->changed);
    }
    apr_thread_mutex_unlock(b->mutex);
    return state;
}

static void ended(gc_viewer_t *viewer, int dropped)
{
    blocking_t *b = (blocking_t *)viewer;

    apr_thread_mutex_lock(b->mutex);
    b->has_ended = 1;
    b->is_dropped = dropped;
    apr_thread_cond_signal(b->changed);
    apr_thread_mutex_unlock(b->mutex);
}

static const gc_viewer_type_t type = {enqueue, ended};

static void attach_task(void *baton)
{
    blocking_t *b = baton;

    gc_loop_hub_attach(b->streams->options.hub, &b->viewer);
}

static void ready_task(void *baton)
{
    blocking_t *b = baton;

    gc_loop_hub_ready(b->streams->options.hub, &b->viewer);
}

/* The last that the loop does with it. */
static void leave_task(void *baton)
{
    blocking_t *b = baton;

    gc_loop_hub_detach(b->streams->options.hub, &b->viewer);
    apr_thread_mutex_lock(b->mutex);
    b->has_left = 1;
    apr_thread_cond_signal(b->changed);
    apr_thread_mutex_unlock(b->mutex);
}

/* --- The thread ---------------------------------------------------------- */

static int is_stopping(void)
{
    int state = 0;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/* All that is queued, after waiting for it at most a second. *goes_on: more may come. */
static gc_membuf_t *take(blocking_t *b, int *goes_on)
{
    gc_membuf_t *taken;

    apr_thread_mutex_lock(b->mutex);
    if (!b->queues[b->filled].length && !b->has_ended) {
        (void)apr_thread_cond_timedwait(b->changed, b->mutex, apr_time_from_sec(1));
    }
    taken = &b->queues[b->filled];
    b->filled = !b->filled;
    *goes_on = !b->has_ended;
    if (b->is_dropped) {
        b->r->connection->aborted = 1; /* the answer must not look whole */
    }
    if (b->is_full) {
        b->is_full = 0;
        gc_loop_post(b->streams->options.loop, &b->ready);
    }
    apr_thread_mutex_unlock(b->mutex);
    return taken;
}

/* Whether the client took it. */
static int write_out(request_rec *r, gc_membuf_t *taken)
{
    int went = !taken->length
               || (ap_rwrite(taken->bytes, (int)taken->length, r) >= 0 && ap_rflush(r) >= 0);

    gc_membuf_clear(taken);
    return went && !r->connection->aborted;
}

static void say_farewell(blocking_t *b)
{
    gc_membuf_t *out = &b->queues[!b->filled]; /* this thread's, and empty */
    apr_status_t rv = APR_SUCCESS;

    gc_replay_farewell(out, &rv);
    (void)write_out(b->r, out);
}

/* Until the stream has ended, its client is gone, or the child's time is over. */
static void write_stream(blocking_t *b)
{
    apr_time_t deadline = 0;
    int goes_on = 1;

    while (goes_on) {
        if (!write_out(b->r, take(b, &goes_on))) {
            break;
        }
        if (!deadline && is_stopping()) {
            deadline = apr_time_now() + b->streams->options.drain;
        }
        if (deadline && goes_on && apr_time_now() >= deadline) {
            say_farewell(b);
            break;
        }
    }
}

static void leave(blocking_t *b)
{
    apr_thread_mutex_lock(b->mutex);
    b->is_gone = 1;
    gc_loop_post(b->streams->options.loop, &b->leave);
    while (!b->has_left) {
        apr_thread_cond_wait(b->changed, b->mutex);
    }
    apr_thread_mutex_unlock(b->mutex);
}

/* --- One answer that is not known yet -------------------------------------- */

typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int is_over; /* guarded by mutex */
} waiter_t;

static void begin_task(void *baton)
{
    gc_loop_errand_begin(baton);
}

static void errand_done(gc_errand_t *errand)
{
    waiter_t *w = errand->waiter;

    pthread_mutex_lock(&w->mutex);
    w->is_over = 1;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

/* For as long as whoever is asked may take: whether the client is still there is not looked at. */
int gc_blocking_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                     const gc_answer_later_t *answer)
{
    waiter_t w = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    errand->waiter = &w; /* cppcheck-suppress autoVariables; it is over before we return */
    errand->done = errand_done;
    errand->task = (gc_loop_task_t){.call = begin_task, .baton = errand};
    gc_loop_post(streams->options.loop, &errand->task);
    pthread_mutex_lock(&w.mutex);
    while (!w.is_over) {
        pthread_cond_wait(&w.changed, &w.mutex);
    }
    pthread_mutex_unlock(&w.mutex);
    answer->call(answer->baton, r);
    gc_errand_free(errand);
    gc_blocking_leave(streams->shared, GC_PLACE_WAIT);
    return OK;
}

int gc_blocking_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream)
{
    blocking_t *b = apr_pcalloc(r->pool, sizeof(*b));
    apr_size_t len;
    const char *prologue = gc_stream_prologue(r->pool, stream, &len);

    b->streams = streams;
    b->r = r;
    b->viewer.type = &type;
    b->viewer.ref = stream->ref;
    b->viewer.at = stream->from;
    b->viewer.task = (gc_loop_task_t){.call = attach_task, .baton = b};
    b->ready = (gc_loop_task_t){.call = ready_task, .baton = b};
    b->leave = (gc_loop_task_t){.call = leave_task, .baton = b};
    gc_membuf_init(&b->queues[0], r->pool, MOST_QUEUED);
    gc_membuf_init(&b->queues[1], r->pool, MOST_QUEUED);
    if (apr_thread_mutex_create(&b->mutex, APR_THREAD_MUTEX_DEFAULT, r->pool) == APR_SUCCESS
        && apr_thread_cond_create(&b->changed, r->pool) == APR_SUCCESS) {
        ap_rwrite(prologue, (int)len, r);
        ap_rflush(r);
        gc_loop_post(streams->options.loop, &b->viewer.task);
        write_stream(b);
        leave(b);
    }
    gc_blocking_leave(streams->shared, GC_PLACE_STREAM);
    return OK;
}
