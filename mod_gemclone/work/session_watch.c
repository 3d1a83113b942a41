/* SPDX-License-Identifier: Apache-2.0
 * Which sessions were ended, wherever that was.
 */
#include "session_watch.h"

#include <apr_strings.h>
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "core/timeval.h"
#include "store/session.h"

/* How often Postgres is asked unasked. */
#define POLL apr_time_from_msec(500)

/* What is asked for reaches further back than to the last time, by this and the patience: an end
 * may have been written before and become visible since. */
#define OVERLAP apr_time_from_sec(5)

/* All of it is asked for so often: an admin's transaction may take longer than any of ours. */
#define WHOLE_POLL apr_time_from_sec(60)

/* Longer than any access token may live. */
#define ALL apr_time_from_sec(APR_INT64_C(86400) * 400)

struct gc_session_watch_t {
    gc_session_watch_options_t options;
    struct event *poll;
    gc_link_listener_t listener;
    gc_loop_task_t told_task, looked_task;
    int told; /* atomic: told_task is posted */
    int busy, again;
    int has_looked;   /* once, whether or not Postgres answered; the loop's */
    sem_t first_look; /* is posted then */
    /* When Postgres was asked last and answered, for what is new and for all; 0: never. The
     * thread's. */
    apr_time_t looked, looked_at_all;
};

/* --- On a thread ------------------------------------------------------------ */

static void add(void *baton, const gc_uuid_t *session, apr_time_t until)
{
    gc_ended_add(baton, session, until);
}

static void look_task(void *baton)
{
    gc_session_watch_t *w = baton;
    const gc_session_watch_options_t *o = &w->options;
    apr_time_t now = apr_time_now();
    /* A clock that was set back tells nothing. */
    int all = now < w->looked || now - w->looked_at_all >= WHOLE_POLL;
    apr_interval_time_t within = all ? ALL : now - w->looked + o->patience + OVERLAP;
    apr_pool_t *pool = gc_companion_pool();

    if (gc_session_ended(o->db, pool, within, add, o->ended) == APR_SUCCESS) {
        w->looked = now;
        w->looked_at_all = all ? now : w->looked_at_all;
    }
    apr_pool_destroy(pool);
    gc_loop_post(gc_companion_loop(o->companion), &w->looked_task);
}

/* --- On the loop ------------------------------------------------------------ */

static void look(gc_session_watch_t *w)
{
    if (w->busy) {
        w->again = 1;
        return;
    }
    w->busy = 1;
    w->again = 0;
    gc_companion_push_first(w->options.companion, look_task, w); /* hashing may take long */
}

static void looked_task(void *baton)
{
    gc_session_watch_t *w = baton;

    w->busy = 0;
    if (!w->has_looked) {
        w->has_looked = 1;
        sem_post(&w->first_look);
    }
    if (w->again) {
        look(w);
    }
}

static void told_task(void *baton)
{
    gc_session_watch_t *w = baton;
    const char *argv[] = {"PUBLISH", w->listener.channel, ""};

    __atomic_store_n(&w->told, 0, __ATOMIC_RELEASE);
    look(w);
    if (w->options.link) {
        gc_loop_link_say(w->options.link, NULL, NULL, 3, argv, NULL);
    }
}

void gc_session_watch_tell(gc_session_watch_t *watch)
{
    if (!__atomic_exchange_n(&watch->told, 1, __ATOMIC_ACQ_REL)) {
        gc_loop_post(gc_companion_loop(watch->options.companion), &watch->told_task);
    }
}

static void poll_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_session_watch_t *w = baton;

    (void)fd;
    (void)what;
    if (!w->busy) {
        look(w);
    }
}

/* What is missed while the link is lost, a poll finds. */
static void opened(void *baton, long long ear)
{
    (void)baton;
    (void)ear;
}

static void lost(void *baton)
{
    (void)baton;
}

static void heard(void *baton, const redisReply *message)
{
    (void)message;
    look(baton);
}

void gc_session_watch_await(gc_session_watch_t *watch, int seconds)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += seconds;
    while (sem_timedwait(&watch->first_look, &deadline) != 0 && errno == EINTR) {
    }
}

static apr_status_t stop_cb(void *baton)
{
    gc_session_watch_t *w = baton;

    event_free(w->poll);
    sem_destroy(&w->first_look);
    return APR_SUCCESS;
}

apr_status_t gc_loop_session_watch_start(apr_pool_t *pool,
                                         const gc_session_watch_options_t *options,
                                         gc_session_watch_t **watch)
{
    gc_session_watch_t *w = apr_pcalloc(pool, sizeof(*w));
    struct timeval period = gc_timeval(POLL);

    w->options = *options;
    w->told_task = (gc_loop_task_t){.call = told_task, .baton = w};
    w->looked_task = (gc_loop_task_t){.call = looked_task, .baton = w};
    w->poll =
        event_new(gc_loop_base(gc_companion_loop(options->companion)), -1, EV_PERSIST, poll_cb, w);
    if (!w->poll) {
        return APR_ENOMEM;
    }
    sem_init(&w->first_look, 0, 0);
    apr_pool_cleanup_register(pool, w, stop_cb, apr_pool_cleanup_null);
    event_add(w->poll, &period);
    look(w);
    if (options->link) {
        w->listener =
            (gc_link_listener_t){.channel = apr_pstrcat(pool, options->prefix, "ended", NULL),
                                 .opened = opened,
                                 .lost = lost,
                                 .heard = heard,
                                 .baton = w};
        gc_loop_link_listen(options->link, &w->listener);
    }
    *watch = w;
    return APR_SUCCESS;
}
