/* SPDX-License-Identifier: Apache-2.0
 * Which sessions were ended, wherever that was.
 */
#include "session_watch.h"

#include <apr_strings.h>
#include <string.h>

#include "core/timeval.h"
#include "store/session.h"

/* How often Postgres is asked unasked, by whether others are heard. */
#define DEAF_POLL apr_time_from_msec(500)
#define HEARING_POLL apr_time_from_sec(5)

/* What is asked for reaches further back than to the last time, by this and the patience: an end
 * may have been written before and become visible since. */
#define OVERLAP apr_time_from_sec(5)

/* Longer than any access token may live. */
#define ALL apr_time_from_sec(APR_INT64_C(86400) * 400)

struct gc_session_watch_t {
    gc_session_watch_options_t options;
    struct event *poll;
    gc_link_listener_t listener;
    gc_loop_task_t told_task, looked_task;
    int told; /* atomic: told_task is posted */
    int hears, busy, again;
    apr_time_t looked; /* when Postgres was asked last and answered; 0: never. The thread's */
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
    apr_interval_time_t within = w->looked ? now - w->looked + o->patience + OVERLAP : ALL;
    apr_pool_t *pool = gc_companion_pool();

    if (gc_session_ended(o->db, pool, within, add, o->ended) == APR_SUCCESS) {
        w->looked = now;
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
    gc_companion_push(w->options.companion, look_task, w);
}

static void looked_task(void *baton)
{
    gc_session_watch_t *w = baton;

    w->busy = 0;
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
    if (w->hears) {
        gc_loop_link_say(w->options.link, NULL, NULL, 3, argv, NULL);
    }
}

void gc_session_watch_tell(gc_session_watch_t *watch)
{
    if (!__atomic_exchange_n(&watch->told, 1, __ATOMIC_ACQ_REL)) {
        gc_loop_post(gc_companion_loop(watch->options.companion), &watch->told_task);
    }
}

static void set_poll(gc_session_watch_t *w)
{
    struct timeval period = gc_timeval(w->hears ? HEARING_POLL : DEAF_POLL);

    event_del(w->poll);
    event_add(w->poll, &period);
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

/* What was said before is missed: it is looked for. */
static void opened(void *baton, long long ear)
{
    gc_session_watch_t *w = baton;

    (void)ear;
    w->hears = 1;
    set_poll(w);
    look(w);
}

static void lost(void *baton)
{
    gc_session_watch_t *w = baton;

    w->hears = 0;
    set_poll(w);
}

static void heard(void *baton, const redisReply *message)
{
    (void)message;
    look(baton);
}

static apr_status_t stop_cb(void *baton)
{
    event_free(((gc_session_watch_t *)baton)->poll);
    return APR_SUCCESS;
}

apr_status_t gc_loop_session_watch_start(apr_pool_t *pool,
                                         const gc_session_watch_options_t *options,
                                         gc_session_watch_t **watch)
{
    gc_session_watch_t *w = apr_pcalloc(pool, sizeof(*w));

    w->options = *options;
    w->told_task = (gc_loop_task_t){.call = told_task, .baton = w};
    w->looked_task = (gc_loop_task_t){.call = looked_task, .baton = w};
    w->poll =
        event_new(gc_loop_base(gc_companion_loop(options->companion)), -1, EV_PERSIST, poll_cb, w);
    if (!w->poll) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, w, stop_cb, apr_pool_cleanup_null);
    set_poll(w);
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
