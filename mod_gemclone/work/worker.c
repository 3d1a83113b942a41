/* SPDX-License-Identifier: Apache-2.0
 * Generates the replies that are owed.
 */
#include "worker.h"

#include <apr_ring.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "core/weight.h"
#include "policy.h"
#include "store/job.h"
#include "upstream/gemini_reader.h"
#include "upstream/http.h"

/* One claim takes at most so many jobs: they are prepared one after the other. */
#define BATCH 32

/* The end of a reply that cannot be stored is tried again so often, a second apart. */
#define STORE_TRIES 30

typedef struct run_t run_t;

struct gc_worker_t {
    gc_worker_options_t options;
    apr_pool_t *pool;
    gc_loop_t *loop;
    gc_http_t *http;
    struct event *poll, *renew, *drain;
    APR_RING_HEAD(runs_t, run_t) runs; /* those that the loop knows of */
    int run_count;
    int reserved; /* claimed, or to be claimed, and not in runs yet */
    int claiming; /* a claim is on its way; one at a time */
    int again;    /* and another is wanted after it */
    int renewing;
    int failing; /* the last claim failed */
    unsigned next_key;
    int stopped; /* atomic: no more claims */
    int poked;   /* atomic: poke_task is posted */
    gc_loop_task_t poke_task;
    int draining, drain_over;
    void (*drained)(void *baton);
    void *drained_baton;
};

/* One try at a reply. It is on one thread at a time: prepared on the pool, then
 * on the loop, stored from the pool, freed on the loop. */
struct run_t {
    APR_RING_ENTRY(run_t) link;
    gc_worker_t *worker;
    apr_pool_t *pool;
    gc_loop_task_t task;
    gc_job_t job; /* its texts are not kept */
    const char *model;
    int history_tokens; /* of history and system instruction */
    apr_time_t started;
    apr_status_t prepared;
    gc_http_request_t request;
    gc_http_call_t *call; /* while Gemini is asked */
    gc_gemini_reader_t *reader;
    const gc_gemini_outcome_t *outcome; /* once it has answered */
    gc_decision_t decision;
    int store_tries;
    apr_status_t stored;
    int next_due;
};

static void claim(gc_worker_t *w);
static void store_run(void *baton);

/* A pool with an allocator of its own: used by one thread at a time, without locks. */
static apr_pool_t *make_pool(void)
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

static void push(gc_worker_t *w, void (*call)(void *baton), void *baton)
{
    gc_companion_push(w->options.companion, call, baton);
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

static void check_drained(gc_worker_t *w)
{
    if (w->draining && w->run_count == 0 && w->reserved == 0 && !w->claiming && !w->renewing
        && w->drained) {
        void (*drained)(void *) = w->drained;

        w->drained = NULL;
        drained(w->drained_baton);
    }
}

/* --- The end of a run, on the loop --------------------------------------- */

static void free_run(run_t *run)
{
    gc_worker_t *w = run->worker;

    APR_RING_REMOVE(run, link);
    w->run_count--;
    apr_pool_destroy(run->pool);
    check_drained(w);
}

static void poke_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    claim(baton);
}

static void claim_after(gc_worker_t *w, apr_interval_time_t delay)
{
    struct timeval tv = {.tv_sec = apr_time_sec(delay), .tv_usec = apr_time_usec(delay)};

    event_base_once(gc_loop_base(w->loop), -1, EV_TIMEOUT, poke_cb, w, &tv);
}

static void store_again_cb(evutil_socket_t fd, short what, void *baton)
{
    run_t *run = baton;

    (void)fd;
    (void)what;
    push(run->worker, store_run, run);
}

/* No request can be made of this prompt, or no end of it be stored: nothing that
 * another try would change. */
static const gc_gemini_outcome_t impossible = {.verdict = GC_GEMINI_FAILED,
                                               .error = GC_GEMINI_ERROR_UPSTREAM,
                                               .retry = GC_GEMINI_RETRY_NO,
                                               .detail = "impossible",
                                               .message = "The reply could not be generated."};

/* Whether the database may be better later. */
static int is_passing(apr_status_t rv)
{
    return rv == GC_EUNAVAILABLE || rv == GC_EUNKNOWN || rv == GC_ESCHEMA;
}

/* Whether the database was out of reach, and the run waits to be stored later. */
static int store_later(run_t *run)
{
    static const struct timeval pause = {.tv_sec = 1};
    gc_worker_t *w = run->worker;

    if (run->stored == APR_SUCCESS || run->stored == GC_ENOENT) {
        return 0;
    }
    if (!is_passing(run->stored) && run->outcome && run->outcome != &impossible) {
        run->outcome = &impossible;
        run->decision = (gc_decision_t){.refund = 1};
        push(w, store_run, run);
        return 1;
    }
    if (++run->store_tries >= STORE_TRIES || w->drain_over) {
        gc_log(w->options.log, GEM0406, "reply %" APR_INT64_T_FMT ": given up to another try",
               run->job.ref.reply);
        return 0;
    }
    if (run->store_tries == 1) {
        gc_log(w->options.log, GEM0405, "reply %" APR_INT64_T_FMT ": cannot be stored yet",
               run->job.ref.reply);
    }
    event_base_once(gc_loop_base(w->loop), -1, EV_TIMEOUT, store_again_cb, run, &pause);
    return 1;
}

static void log_end(const run_t *run)
{
    const gc_worker_options_t *o = &run->worker->options;
    const gc_gemini_outcome_t *outcome = run->outcome;
    int ms = (int)((apr_time_now() - run->started) / 1000);

    if (run->stored == GC_ENOENT) {
        gc_log(o->log, GEM0404, "reply %" APR_INT64_T_FMT ": fence %" APR_INT64_T_FMT " is past",
               run->job.ref.reply, run->job.ref.fence);
    } else if (outcome && run->decision.again) {
        gc_log(o->log, GEM0402, "reply %" APR_INT64_T_FMT ": try %d: %s %s; again in %d ms%s",
               run->job.ref.reply, run->job.tries, outcome->detail, outcome->error_code,
               (int)(run->decision.delay.delay / 1000),
               run->decision.delay.fallback ? " with the fallback model" : "");
    } else if (outcome && outcome->verdict == GC_GEMINI_FAILED) {
        gc_log(o->log, GEM0409, "reply %" APR_INT64_T_FMT ": failed after %d tries: %s: %s %s",
               run->job.ref.reply, run->job.tries, gc_gemini_error_name(outcome->error),
               outcome->detail, outcome->error_code);
    } else if (outcome) {
        gc_log(o->log, GEM0401, "reply %" APR_INT64_T_FMT ": %s, try %d, %d ms, %d + %d tokens",
               run->job.ref.reply, outcome->detail, run->job.tries, ms, outcome->usage.prompt,
               outcome->usage.candidates);
    }
}

static void stored_cb(void *baton)
{
    run_t *run = baton;
    gc_worker_t *w = run->worker;

    if (store_later(run)) {
        return;
    }
    log_end(run);
    if (run->decision.again) {
        claim_after(w, run->decision.delay.delay);
    } else if (run->next_due) {
        claim(w);
    }
    free_run(run);
    if (w->again) {
        claim(w);
    }
}

/* --- Storing, on the pool ------------------------------------------------ */

/* What of Gemini's count fell on the prompt's own text: all that it counted less
 * what went with it. Out of proportion to the text, it is not believed. */
static apr_int64_t weigh_prompt(const run_t *run)
{
    apr_int64_t weight = run->outcome->usage.prompt - run->history_tokens;

    return weight > 0 && weight <= 4 * (apr_int64_t)run->job.tokens ? weight : -1;
}

static const char *word_or_null(const char *word)
{
    return *word ? word : NULL;
}

static void describe_end(const run_t *run, gc_job_end_t *end)
{
    const gc_gemini_outcome_t *o = run->outcome;
    int done = o->verdict == GC_GEMINI_DONE || o->verdict == GC_GEMINI_TRUNCATED;

    memset(end, 0, sizeof(*end));
    end->status = done ? "done" : "failed";
    end->content = done ? apr_pstrmemdup(run->pool, o->text, o->text_length) : "";
    end->error = done ? NULL : gc_gemini_error_name(o->error);
    end->error_detail = done ? NULL : o->message;
    end->finish_reason = word_or_null(o->finish_reason);
    end->model = *o->model_version ? o->model_version : run->model;
    end->tokens = o->usage.candidates ? o->usage.candidates : done ? gc_weight(end->content) : 0;
    end->prompt_tokens = o->usage.prompt ? o->usage.prompt : -1;
    end->cached_tokens = o->usage.prompt ? o->usage.cached : -1;
    end->thought_tokens = o->usage.prompt ? o->usage.thoughts : -1;
    end->prompt_weight = done ? weigh_prompt(run) : -1;
    end->refund = run->decision.refund;
}

static void store_run(void *baton)
{
    run_t *run = baton;
    gc_db_t *db = run->worker->options.db;
    gc_job_end_t end;

    if (run->decision.again) {
        run->stored = gc_job_put_off(db, run->pool, &run->job.ref, &run->decision.delay);
    } else {
        describe_end(run, &end);
        run->stored = gc_job_finish(db, run->pool, &run->job.ref, &end, &run->next_due);
    }
    post(run->worker, &run->task, stored_cb, run);
}

/* --- Asking Gemini, on the loop ------------------------------------------ */

/* Hands the job to whoever is next; this try does not count. */
static void give_back(run_t *run, apr_interval_time_t delay)
{
    memset(&run->decision, 0, sizeof(run->decision));
    run->decision.again = 1;
    run->decision.delay.delay = delay;
    run->decision.delay.uncount = 1;
    run->outcome = NULL;
    push(run->worker, store_run, run);
}

static int has_fallback(const run_t *run)
{
    const char *fallback = run->worker->options.fallback;

    return fallback && strcmp(fallback, run->model) != 0;
}

static void answered(run_t *run, const gc_gemini_outcome_t *outcome)
{
    gc_worker_t *w = run->worker;
    gc_policy_t policy = {.tries = w->options.tries,
                          .backoff = w->options.backoff,
                          .has_fallback = has_fallback(run)};

    run->outcome = outcome;
    run->decision = gc_policy_decide(&policy, &run->job, outcome);
    if (outcome->config_alarm) {
        gc_log(w->options.log, GEM0403, "reply %" APR_INT64_T_FMT ": model %s: %s %s",
               run->job.ref.reply, run->model, outcome->detail, outcome->error_code);
    }
    push(w, store_run, run);
}

static void head_cb(void *baton, int status, const char *content_type)
{
    run_t *run = baton;

    (void)content_type;
    gc_gemini_reader_head(run->reader, status);
}

static apr_status_t data_cb(void *baton, const char *bytes, apr_size_t length)
{
    run_t *run = baton;

    return gc_gemini_reader_data(run->reader, bytes, length);
}

static void done_cb(void *baton, const gc_http_result_t *result)
{
    run_t *run = baton;

    run->call = NULL;
    answered(run, gc_gemini_reader_end(run->reader, result));
}

static apr_status_t delta_cb(void *baton, const char *text, apr_size_t length)
{
    (void)baton;
    (void)text;
    (void)length;
    return APR_SUCCESS;
}

static void ask(run_t *run)
{
    static const gc_http_handler_t handler = {head_cb, data_cb, done_cb};
    gc_worker_t *w = run->worker;

    run->reader = gc_gemini_reader_create(run->pool, w->options.gemini.max_reply, delta_cb, run);
    run->call = gc_loop_http_start(w->http, run->pool, &run->request, &handler, run);
}

/* From the pool: the run is ready to be asked. */
static void prepared_cb(void *baton)
{
    run_t *run = baton;
    gc_worker_t *w = run->worker;

    APR_RING_INSERT_TAIL(&w->runs, run, run_t, link);
    w->run_count++;
    w->reserved--;
    if (w->draining) {
        give_back(run, 0);
    } else if (run->prepared == APR_SUCCESS) {
        ask(run);
    } else if (is_passing(run->prepared)) {
        give_back(run, GC_DB_RETRY_AFTER);
    } else {
        answered(run, &impossible);
    }
}

/* --- Claiming and preparing, on the pool --------------------------------- */

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    int wanted, got;
    apr_status_t status;
} claim_t;

/* Turns as Gemini wants them: oldest first, the prompt last. */
static void make_turns(run_t *run, const char *content, const apr_array_header_t *history,
                       gc_gemini_prompt_t *prompt)
{
    int count = 2 * history->nelts + 1, i;
    gc_gemini_turn_t *turns = apr_palloc(run->pool, sizeof(*turns) * (apr_size_t)count);
    gc_gemini_turn_t *turn = turns + count;

    *--turn = (gc_gemini_turn_t){GC_GEMINI_USER, content};
    for (i = 0; i < history->nelts; i++) {
        const gc_turn_t *old = &APR_ARRAY_IDX(history, i, gc_turn_t);

        *--turn = (gc_gemini_turn_t){GC_GEMINI_MODEL, old->reply};
        *--turn = (gc_gemini_turn_t){GC_GEMINI_USER, old->prompt};
        run->history_tokens += old->tokens;
    }
    prompt->turns = turns;
    prompt->turn_count = (apr_size_t)count;
}

static const char *next_key(gc_worker_t *w)
{
    unsigned turn = __atomic_fetch_add(&w->next_key, 1, __ATOMIC_RELAXED);

    return w->options.keys[turn % (unsigned)w->options.key_count];
}

static apr_status_t prepare(run_t *run)
{
    const gc_worker_options_t *o = &run->worker->options;
    gc_job_t *job = &run->job;
    gc_gemini_prompt_t prompt = {0};
    apr_array_header_t *history;
    int room_left;
    apr_status_t rv;

    prompt.key = next_key(run->worker);
    prompt.system = job->system_prompt ? job->system_prompt : o->system_prompt;
    prompt.model = job->fallback && o->fallback ? o->fallback
                   : job->model                 ? job->model
                                                : o->gemini.model;
    run->model = apr_pstrdup(run->pool, prompt.model);
    run->history_tokens = gc_weight(prompt.system);
    room_left = o->context_tokens - job->tokens - run->history_tokens;
    rv = gc_job_history(o->db, run->pool, job, room_left > 0 ? room_left : 0, &history);
    if (rv == APR_SUCCESS) {
        make_turns(run, job->content, history, &prompt);
        rv = gc_gemini_request_make(&run->request, run->pool, &o->gemini, &prompt);
    }
    job->content = job->model = job->system_prompt = NULL;
    return rv;
}

static void prepare_one(gc_worker_t *w, const gc_job_t *job)
{
    apr_pool_t *pool = make_pool();
    run_t *run = apr_pcalloc(pool, sizeof(*run));

    run->pool = pool;
    run->worker = w;
    run->job = *job;
    run->started = apr_time_now();
    run->prepared = prepare(run);
    post(w, &run->task, prepared_cb, run);
}

static void claimed_cb(void *baton)
{
    claim_t *c = baton;
    gc_worker_t *w = c->worker;

    w->claiming = 0;
    w->reserved -= c->wanted - c->got;
    if ((c->status != APR_SUCCESS) != w->failing) {
        w->failing = !w->failing;
        if (w->failing) {
            gc_log(w->options.log, GEM0407, "jobs cannot be claimed; trying again each %d ms",
                   (int)(w->options.poll / 1000));
        }
    }
    if (c->got == c->wanted || w->again) {
        claim(w);
    }
    free(c);
    check_drained(w);
}

static void claim_task(void *baton)
{
    claim_t *c = baton;
    gc_worker_t *w = c->worker;
    const gc_worker_options_t *o = &w->options;
    apr_pool_t *pool = make_pool();
    apr_array_header_t *jobs = NULL;
    int i;

    c->status = gc_job_claim(o->db, pool, o->site, o->name, c->wanted, o->lease, &jobs);
    c->got = c->status == APR_SUCCESS ? jobs->nelts : 0;
    if (c->got) {
        gc_log(o->log, GEM0408, "%d jobs claimed", c->got);
    }
    post(w, &c->task, claimed_cb, c); /* c is the loop's from here */
    for (i = 0; jobs && i < jobs->nelts; i++) {
        prepare_one(w, &APR_ARRAY_IDX(jobs, i, gc_job_t));
    }
    apr_pool_destroy(pool);
}

/* On the loop: takes as many jobs as there is room for. */
static void claim(gc_worker_t *w)
{
    int room = w->options.most - w->run_count - w->reserved;
    claim_t *c;

    w->again = w->claiming || room <= 0;
    if (w->again || is_stopped(w)) {
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        abort();
    }
    c->worker = w;
    c->wanted = room < BATCH ? room : BATCH;
    w->reserved += c->wanted;
    w->claiming = 1;
    push(w, claim_task, c);
}

/* --- Renewing leases ----------------------------------------------------- */

typedef struct {
    gc_worker_t *worker;
    gc_loop_task_t task;
    apr_pool_t *pool;
    apr_array_header_t *held; /* gc_job_ref_t */
    apr_array_header_t *lost; /* gc_job_lost_t, or NULL */
} renewal_t;

static run_t *find_run(gc_worker_t *w, const gc_job_lost_t *lost)
{
    run_t *run;

    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, run_t, link);
         run = APR_RING_NEXT(run, link)) {
        if (run->job.ref.reply == lost->reply && run->job.ref.fence == lost->fence) {
            return run;
        }
    }
    return NULL;
}

/* What is another's by now, or was deleted, need not be generated any further. */
static void renewed_cb(void *baton)
{
    renewal_t *r = baton;
    gc_worker_t *w = r->worker;
    int i;

    w->renewing = 0;
    for (i = 0; r->lost && i < r->lost->nelts; i++) {
        run_t *run = find_run(w, &APR_ARRAY_IDX(r->lost, i, gc_job_lost_t));

        if (run && run->call) {
            gc_log(w->options.log, GEM0404, "reply %" APR_INT64_T_FMT ": the job is gone",
                   run->job.ref.reply);
            gc_loop_http_cancel(run->call);
            free_run(run);
        }
    }
    apr_pool_destroy(r->pool);
    check_drained(w);
}

static void renew_task(void *baton)
{
    renewal_t *r = baton;
    const gc_worker_options_t *o = &r->worker->options;

    if (gc_job_renew(o->db, r->pool, r->held, o->lease, &r->lost) != APR_SUCCESS) {
        r->lost = NULL;
    }
    post(r->worker, &r->task, renewed_cb, r);
}

static void renew_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_worker_t *w = baton;
    renewal_t *r;
    apr_pool_t *pool;
    run_t *run;

    (void)fd;
    (void)what;
    if (w->renewing || w->run_count == 0) {
        return;
    }
    pool = make_pool();
    r = apr_pcalloc(pool, sizeof(*r));
    r->worker = w;
    r->pool = pool;
    r->held = apr_array_make(pool, w->run_count, sizeof(gc_job_ref_t));
    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, run_t, link);
         run = APR_RING_NEXT(run, link)) {
        APR_ARRAY_PUSH(r->held, gc_job_ref_t) = run->job.ref;
    }
    w->renewing = 1;
    push(w, renew_task, r);
}

/* --- From outside -------------------------------------------------------- */

static void poll_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    claim(baton);
}

static void poke_task(void *baton)
{
    gc_worker_t *w = baton;

    __atomic_store_n(&w->poked, 0, __ATOMIC_RELEASE);
    claim(w);
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
    run_t *run;

    (void)fd;
    (void)what;
    w->drain_over = 1;
    if (w->run_count) {
        gc_log(w->options.log, GEM0005, "%d replies are given back", w->run_count);
    }
    for (run = APR_RING_FIRST(&w->runs); run != APR_RING_SENTINEL(&w->runs, run_t, link);
         run = APR_RING_NEXT(run, link)) {
        if (run->call) {
            gc_loop_http_cancel(run->call);
            run->call = NULL;
            give_back(run, 0);
        }
    }
}

void gc_loop_worker_drain(gc_worker_t *worker, apr_interval_time_t patience,
                          void (*drained)(void *baton), void *baton)
{
    struct timeval tv = {.tv_sec = apr_time_sec(patience), .tv_usec = apr_time_usec(patience)};

    gc_worker_stop_claiming(worker);
    worker->draining = 1;
    worker->drained = drained;
    worker->drained_baton = baton;
    event_add(worker->drain, &tv);
    check_drained(worker);
}

static apr_status_t free_events_cb(void *baton)
{
    gc_worker_t *w = baton;
    struct event *events[] = {w->poll, w->renew, w->drain};
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
    struct timeval tv = {.tv_sec = apr_time_sec(period), .tv_usec = apr_time_usec(period)};
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
    w->pool = pool;
    w->loop = gc_companion_loop(options->companion);
    w->poke_task.call = poke_task;
    w->poke_task.baton = w;
    APR_RING_INIT(&w->runs, run_t, link);
    apr_pool_cleanup_register(pool, w, free_events_cb, apr_pool_cleanup_null);
    rv = gc_loop_http_create(&w->http, pool, gc_loop_base(w->loop), &http);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    w->poll = start_timer(w, options->poll, poll_cb);
    w->renew = start_timer(w, options->lease / 3, renew_cb);
    w->drain = event_new(gc_loop_base(w->loop), -1, 0, drain_over_cb, w);
    if (!w->poll || !w->renew || !w->drain) {
        return APR_ENOMEM;
    }
    *worker = w;
    claim(w);
    return APR_SUCCESS;
}
