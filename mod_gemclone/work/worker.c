/* SPDX-License-Identifier: Apache-2.0
 * Generates the replies that are owed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/timeval.h"
#include "worker_internal.h"

/* One claim takes at most so many jobs: they are prepared one after the other. */
#define BATCH 32

/* So long, after Postgres was away, do ends that wait for it go before claims. */
#define STORE_FIRST apr_time_from_msec(500)

/* How often the table is asked for replies that were cancelled elsewhere, or deleted. */
#define LOOK apr_time_from_msec(500)

void gc_worker_push(gc_worker_t *worker, void (*call)(void *baton), void *baton)
{
    gc_companion_push(worker->options.companion, call, baton);
}

static void post(gc_worker_t *w, gc_loop_task_t *task, void (*call)(void *baton), void *baton)
{
    task->call = call;
    task->baton = baton;
    gc_loop_post(w->loop, task);
}

static int is_stopped(gc_worker_t *w)
{
    return __atomic_load_n(&w->stopped, __ATOMIC_ACQUIRE);
}

void gc_loop_worker_check_drained(gc_worker_t *w)
{
    if (w->draining && w->run_count == 0 && w->reserved == 0 && !w->claiming && !w->renewing
        && !w->looking && w->drained) {
        void (*drained)(void *) = w->drained;

        w->drained = NULL;
        drained(w->drained_baton);
    }
}

/* --- Leases ---------------------------------------------------------- */

/* A job whose process is gone is to be another's within GemcloneLease of the last word. So it is
 * looked for more often than that, and the lease itself is shorter by as much. */
static apr_interval_time_t poll_of(const gc_worker_options_t *o)
{
    return o->poll < o->lease / 4 ? o->poll : o->lease / 4;
}

static apr_interval_time_t lease_of(const gc_worker_options_t *o)
{
    return o->lease - poll_of(o);
}

/* Whether Postgres was heard of. After it was away, leases may have ended of processes that are
 * alive: they have time to renew them before others take their jobs. */
static void note_word(gc_worker_t *w, int is_good)
{
    apr_time_t now = apr_time_now();

    if (is_good == !w->failing) {
        return;
    }
    w->failing = !is_good;
    if (w->failing) {
        gc_log(w->options.log, GEM0407,
               "jobs can be neither claimed nor renewed; trying again each %d ms",
               (int)(w->options.poll / 1000));
    } else {
        w->claims_from = now + STORE_FIRST;
        w->frees_from = now + lease_of(&w->options) / 2;
    }
}

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    apr_pool_t *pool;
    apr_array_header_t *held; /* gc_job_ref_t */
    apr_status_t status;
} renewal_t;

static void renewed_cb(void *baton)
{
    renewal_t *r = baton;
    gc_worker_t *w = r->worker;
    int is_good = r->status == APR_SUCCESS, is_back = is_good && w->failing;

    w->renewing = 0;
    note_word(w, is_good);
    apr_pool_destroy(r->pool);
    if (is_back) {
        gc_loop_worker_claim(w);
    }
    gc_loop_worker_check_drained(w);
}

static void renew_task(void *baton)
{
    renewal_t *r = baton;
    const gc_worker_options_t *o = &r->worker->options;

    r->status = gc_job_renew(o->db, r->pool, r->held, lease_of(o));
    post(r->worker, &r->task, renewed_cb, r);
}

/* The jobs of all runs, an array of gc_job_ref_t. */
static apr_array_header_t *held_jobs(gc_worker_t *w, apr_pool_t *pool)
{
    apr_array_header_t *held = apr_array_make(pool, w->run_count, sizeof(gc_job_ref_t));
    gc_run_t *run;

    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, gc_run_t, link);
         run = APR_RING_NEXT(run, link)) {
        APR_ARRAY_PUSH(held, gc_job_ref_t) = run->job.ref;
    }
    return held;
}

/* Whatever else waits for a thread: a lease that ends is work that is done twice. */
static void renew(gc_worker_t *w)
{
    renewal_t *r;
    apr_pool_t *pool;

    if (w->renewing || w->run_count == 0) {
        return;
    }
    pool = gc_companion_pool();
    r = apr_pcalloc(pool, sizeof(*r));
    r->worker = w;
    r->pool = pool;
    r->held = held_jobs(w, pool);
    w->renewing = 1;
    gc_companion_push_first(w->options.companion, renew_task, r);
}

static void renew_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    renew(baton);
}

/* --- Claiming ------------------------------------------------------------- */

static void claim_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    gc_loop_worker_claim(baton);
}

void gc_loop_worker_claim_after(gc_worker_t *worker, apr_interval_time_t delay)
{
    struct timeval tv = gc_timeval(delay);

    event_base_once(gc_loop_base(worker->loop), -1, EV_TIMEOUT, claim_cb, worker, &tv);
}

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    int wanted, frees, got;
    apr_status_t status;
    gc_run_t *runs[BATCH];
} claim_t;

static void claimed_cb(void *baton)
{
    claim_t *c = baton;
    gc_worker_t *w = c->worker;
    int i;

    w->claiming = 0;
    w->reserved -= c->wanted;
    for (i = 0; i < c->got; i++) {
        gc_loop_run_add(c->runs[i]);
    }
    note_word(w, c->status == APR_SUCCESS);
    if (c->got == c->wanted || w->again) {
        gc_loop_worker_claim(w);
    }
    free(c);
    gc_loop_worker_check_drained(w);
}

/* All are the loop's before one is prepared: with a long history each, that may take longer than
 * their leases. */
static void claim_task(void *baton)
{
    claim_t *c = baton;
    gc_worker_t *w = c->worker;
    const gc_worker_options_t *o = &w->options;
    apr_pool_t *pool = gc_companion_pool();
    gc_run_t *runs[BATCH];
    apr_array_header_t *jobs;
    int i, got;

    c->status =
        gc_job_claim(o->db, pool, o->site, o->name, c->wanted, lease_of(o), c->frees, &jobs);
    got = c->got = c->status == APR_SUCCESS ? jobs->nelts : 0;
    for (i = 0; i < got; i++) {
        runs[i] = c->runs[i] = gc_run_create(w, &APR_ARRAY_IDX(jobs, i, gc_job_t));
    }
    if (got) {
        gc_log(o->log, GEM0408, "%d jobs claimed", got);
    }
    post(w, &c->task, claimed_cb, c); /* c is the loop's from here */
    for (i = 0; i < got; i++) {
        gc_run_prepare(runs[i]);
    }
    apr_pool_destroy(pool);
}

/* When Postgres comes back, the ends that waited for it are stored first: they are among the jobs
 * that are due by then. */
static int has_to_store_first(const gc_worker_t *w)
{
    return w->unstored && (w->failing || apr_time_now() < w->claims_from);
}

/* And leases are renewed before anything is claimed: ours have ended too. */
static int has_to_renew_first(gc_worker_t *w)
{
    if (w->failing && w->run_count) {
        renew(w);
        return 1;
    }
    return 0;
}

void gc_loop_worker_claim(gc_worker_t *w)
{
    int room = w->options.most - w->run_count - w->reserved;
    claim_t *c;

    w->again = w->claiming || room <= 0 || has_to_renew_first(w) || has_to_store_first(w);
    if (w->again || is_stopped(w)) {
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        abort();
    }
    c->worker = w;
    c->wanted = room < BATCH ? room : BATCH;
    c->frees = !w->failing && apr_time_now() >= w->frees_from;
    w->reserved += c->wanted;
    w->claiming = 1;
    gc_worker_push(w, claim_task, c);
}

/* --- Stopping ------------------------------------------------------------ */

/* fence: -1 for any. */
static gc_run_t *find_run(gc_worker_t *w, apr_int64_t reply, apr_int64_t fence)
{
    gc_run_t *run;

    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, gc_run_t, link);
         run = APR_RING_NEXT(run, link)) {
        if (run->job.ref.reply == reply && (fence < 0 || run->job.ref.fence == fence)) {
            return run;
        }
    }
    return NULL;
}

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    apr_pool_t *pool;
    apr_array_header_t *held;  /* gc_job_ref_t */
    apr_array_header_t *stops; /* gc_job_stop_t, or NULL */
} look_t;

static void looked_cb(void *baton)
{
    look_t *l = baton;
    gc_worker_t *w = l->worker;
    int i;

    w->looking = 0;
    for (i = 0; l->stops && i < l->stops->nelts; i++) {
        const gc_job_stop_t *stop = &APR_ARRAY_IDX(l->stops, i, gc_job_stop_t);
        gc_run_t *run = find_run(w, stop->reply, stop->fence);

        if (run && stop->why == GC_STOP_CANCELLED) {
            gc_loop_run_cancel(run);
        } else if (run) {
            gc_loop_run_drop(run, stop->why == GC_STOP_GONE);
        }
    }
    apr_pool_destroy(l->pool);
    gc_loop_worker_check_drained(w);
}

static void look_task(void *baton)
{
    look_t *l = baton;

    if (gc_job_stops(l->worker->options.db, l->pool, l->held, &l->stops) != APR_SUCCESS) {
        l->stops = NULL;
    }
    post(l->worker, &l->task, looked_cb, l);
}

static void look_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_worker_t *w = baton;
    apr_pool_t *pool;
    look_t *l;

    (void)fd;
    (void)what;
    if (w->looking || w->run_count == 0) {
        return;
    }
    pool = gc_companion_pool();
    l = apr_pcalloc(pool, sizeof(*l));
    l->worker = w;
    l->pool = pool;
    l->held = held_jobs(w, pool);
    w->looking = 1;
    gc_worker_push(w, look_task, l);
}

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    apr_int64_t reply;
} cancel_t;

static void cancel_task(void *baton)
{
    cancel_t *c = baton;
    gc_run_t *run = find_run(c->worker, c->reply, -1);

    if (run) {
        gc_loop_run_cancel(run);
    }
    free(c);
}

void gc_worker_cancel(gc_worker_t *worker, apr_int64_t reply)
{
    cancel_t *c = calloc(1, sizeof(*c));

    if (!c) {
        abort();
    }
    c->worker = worker;
    c->reply = reply;
    post(worker, &c->task, cancel_task, c);
}

/* --- From outside -------------------------------------------------------- */

static void poke_task(void *baton)
{
    gc_worker_t *w = baton;

    __atomic_store_n(&w->poked, 0, __ATOMIC_RELEASE);
    gc_loop_worker_claim(w);
}

void gc_worker_poke(gc_worker_t *worker)
{
    if (!__atomic_exchange_n(&worker->poked, 1, __ATOMIC_ACQ_REL)) {
        gc_loop_post(worker->loop, &worker->poke_task);
    }
}

void gc_worker_stop_claiming(gc_worker_t *worker)
{
    __atomic_store_n(&worker->stopped, 1, __ATOMIC_RELEASE);
}

static void drain_over_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_worker_t *w = baton;
    gc_run_t *run;

    (void)fd;
    (void)what;
    w->drain_over = 1;
    if (w->run_count) {
        gc_log(w->options.log, GEM0005, "%d replies are given back", w->run_count);
    }
    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, gc_run_t, link);
         run = APR_RING_NEXT(run, link)) {
        gc_loop_run_give_back(run);
    }
}

void gc_loop_worker_drain(gc_worker_t *worker, apr_interval_time_t patience,
                          void (*drained)(void *baton), void *baton)
{
    struct timeval tv = gc_timeval(patience);

    gc_worker_stop_claiming(worker);
    event_add(worker->drain, &tv);
    if (!worker->draining) {
        worker->draining = 1;
        worker->drained = drained;
        worker->drained_baton = baton;
        gc_loop_worker_check_drained(worker);
    }
}

static apr_status_t free_events_cb(void *baton)
{
    gc_worker_t *w = baton;
    struct event *events[] = {w->poll, w->renew, w->look, w->drain};
    size_t i;

    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i]) {
            event_free(events[i]);
        }
    }
    return APR_SUCCESS;
}

static struct event *start_timer(gc_worker_t *w, apr_interval_time_t period, event_callback_fn call)
{
    struct timeval tv = gc_timeval(period);
    struct event *timer = event_new(gc_loop_base(w->loop), -1, EV_PERSIST, call, w);

    if (timer) {
        event_add(timer, &tv);
    }
    return timer;
}

apr_status_t gc_loop_worker_start(apr_pool_t *pool, const gc_worker_options_t *options,
                                  gc_worker_t **worker)
{
    gc_worker_t *w = apr_pcalloc(pool, sizeof(*w));
    gc_http_options_t http = {.ca_file = options->ca_file,
                              .user_agent = "mod_gemclone",
                              .max_connections = options->most};
    apr_status_t rv;

    w->options = *options;
    w->loop = gc_companion_loop(options->companion);
    w->poke_task.call = poke_task;
    w->poke_task.baton = w;
    APR_RING_INIT(&w->runs, gc_run_t, link);
    apr_pool_cleanup_register(pool, w, free_events_cb, apr_pool_cleanup_null);
    rv = gc_loop_http_create(&w->http, pool, gc_loop_base(w->loop), &http);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    w->breaker = gc_breaker_create(pool, &options->breaker);
    w->poll = start_timer(w, poll_of(options), claim_cb);
    w->renew = start_timer(w, lease_of(options) / 3, renew_cb);
    w->look = start_timer(w, LOOK, look_cb);
    w->drain = event_new(gc_loop_base(w->loop), -1, 0, drain_over_cb, w);
    if (!w->poll || !w->renew || !w->look || !w->drain) {
        return APR_ENOMEM;
    }
    *worker = w;
    gc_loop_worker_claim(w);
    return APR_SUCCESS;
}
