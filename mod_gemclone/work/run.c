/* SPDX-License-Identifier: Apache-2.0
 * One try at a reply: prepared, asked of Gemini, stored or put off.
 */
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "core/weight.h"
#include "worker_internal.h"

/* After so many tries whose process was not heard of again a reply is a suspect, of which a process
 * has one at a time (sql/deploy/job_work.sql); after so many it is not tried any more. */
enum { SUSPECT = 2, POISON = 3 };

/* An end that cannot be stored is tried again so often, and for so long. */
#define STORE_PAUSE apr_time_from_msec(500)
#define STORE_PATIENCE apr_time_from_sec(600)

/* What a run takes beside its texts, about. */
#define RUN_BYTES 16384

static void store_run(void *baton);

static void post(gc_run_t *run, void (*call)(void *baton))
{
    run->task.call = call;
    run->task.baton = run;
    gc_loop_post(run->worker->loop, &run->task);
}

static gc_metrics_t *metrics_of(const gc_run_t *run)
{
    return run->worker->options.metrics;
}

/* --- The end of a run, on the loop --------------------------------------- */

static void free_run(gc_run_t *run)
{
    gc_worker_t *w = run->worker;
    const gc_sink_t *sink = w->options.sink;

    if (sink) {
        sink->left(sink->baton, run->job.ref.reply, run->job.ref.fence, run->ended);
    }
    APR_RING_REMOVE(run, link);
    w->run_count--;
    gc_metrics_change(metrics_of(run), GC_GAUGE_RUNNING, -1);
    if (run->kept) {
        gc_metrics_change(metrics_of(run), GC_GAUGE_UNSTORED, -1);
        w->kept -= run->kept;
        w->unstored--;
    }
    apr_pool_destroy(run->pool);
    gc_loop_worker_check_drained(w);
}

static void count_call(gc_run_t *run, const gc_gemini_outcome_t *outcome)
{
    static const gc_count_e counts[] = {[GC_GEMINI_DONE] = GC_COUNT_CALL_DONE,
                                        [GC_GEMINI_TRUNCATED] = GC_COUNT_CALL_TRUNCATED,
                                        [GC_GEMINI_BLOCKED] = GC_COUNT_CALL_BLOCKED,
                                        [GC_GEMINI_FAILED] = GC_COUNT_CALL_FAILED,
                                        [GC_GEMINI_CANCELLED] = GC_COUNT_CALL_ABANDONED};

    gc_metrics_count(metrics_of(run), outcome ? counts[outcome->verdict] : GC_COUNT_CALL_ABANDONED);
    gc_metrics_change(metrics_of(run), GC_GAUGE_CALLS, -1);
}

/* What it was asked with is free again. */
static void report(gc_run_t *run, const gc_gemini_outcome_t *outcome)
{
    if (run->turn.key >= 0) {
        count_call(run, outcome);
        gc_breaker_report(run->worker->breaker, run->model, run->turn, outcome);
        run->turn.key = -1;
    }
}

static void hang_up(gc_run_t *run)
{
    gc_loop_http_cancel(run->call);
    run->call = NULL;
    report(run, NULL);
}

static void store_again_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_run_t *run = baton;

    (void)fd;
    (void)what;
    gc_worker_push(run->worker, store_run, run);
}

/* No request can be made of this prompt, or no end of it be stored: nothing that
 * another try would change. */
static const gc_gemini_outcome_t impossible = {.verdict = GC_GEMINI_FAILED,
                                               .error = GC_GEMINI_ERROR_UPSTREAM,
                                               .retry = GC_GEMINI_RETRY_NO,
                                               .detail = "impossible",
                                               .message = "The reply could not be generated."};

/* It was cancelled before anything was asked. */
static const gc_gemini_outcome_t cancelled = {
    .verdict = GC_GEMINI_CANCELLED, .detail = "cancelled", .message = "", .text = ""};

/* Whether the database may be better later. */
static int is_passing(apr_status_t rv)
{
    return rv == GC_EUNAVAILABLE || rv == GC_EUNKNOWN || rv == GC_ESCHEMA;
}

/* Whether the end may stay in memory until Postgres is there again. */
static int keep(gc_run_t *run)
{
    gc_worker_t *w = run->worker;
    apr_off_t bytes = RUN_BYTES + (apr_off_t)run->request.body_length
                      + (run->outcome ? (apr_off_t)run->outcome->text_length : 0);

    if (w->drain_over) {
        return 0;
    }
    if (run->kept) {
        return apr_time_now() < run->keep_until;
    }
    if (w->kept + bytes > w->options.most_kept) {
        return 0;
    }
    run->kept = bytes;
    run->keep_until = apr_time_now() + STORE_PATIENCE;
    w->kept += bytes;
    w->unstored++;
    gc_metrics_change(metrics_of(run), GC_GAUGE_UNSTORED, 1);
    gc_log(w->options.log, GEM0405, "reply %" APR_INT64_T_FMT ": cannot be stored yet%s",
           run->job.ref.reply, run->trace);
    return 1;
}

/* Whether the database was out of reach, and the run waits to be stored later. */
static int store_later(gc_run_t *run)
{
    static const struct timeval pause = {.tv_usec = apr_time_usec(STORE_PAUSE)};
    gc_worker_t *w = run->worker;

    if (run->stored == APR_SUCCESS || run->stored == GC_ENOENT) {
        return 0;
    }
    if (!is_passing(run->stored) && run->outcome && run->outcome != &impossible) {
        run->outcome = &impossible;
        run->decision = (gc_decision_t){.refund = 1};
        gc_worker_push(w, store_run, run);
        return 1;
    }
    if (!keep(run)) {
        gc_log(w->options.log, GEM0406, "reply %" APR_INT64_T_FMT ": given up to another try%s",
               run->job.ref.reply, run->trace);
        return 0;
    }
    event_base_once(gc_loop_base(w->loop), -1, EV_TIMEOUT, store_again_cb, run, &pause);
    return 1;
}

static void log_end(const gc_run_t *run)
{
    const gc_worker_options_t *o = &run->worker->options;
    const gc_gemini_outcome_t *outcome = run->outcome;
    const char *model = run->model ? run->model : "none"; /* it was over before one was chosen */
    int ms = (int)((apr_time_now() - run->started) / 1000);

    if (run->stored == GC_ENOENT) {
        gc_log(o->log, GEM0404, "reply %" APR_INT64_T_FMT ": fence %" APR_INT64_T_FMT " is past%s",
               run->job.ref.reply, run->job.ref.fence, run->trace);
    } else if (outcome && run->decision.again) {
        gc_log(o->log, GEM0402,
               "reply %" APR_INT64_T_FMT ": try %d: %s %s, model %s, %d ms; again in %d ms%s%s",
               run->job.ref.reply, run->job.tries, outcome->detail, outcome->error_code, model, ms,
               (int)(run->decision.delay.delay / 1000),
               run->decision.delay.fallback ? " with the fallback model" : "", run->trace);
    } else if (outcome && outcome->verdict == GC_GEMINI_FAILED) {
        gc_log(o->log, GEM0409,
               "reply %" APR_INT64_T_FMT ": failed after %d tries: %s: %s %s, model %s, %d ms%s",
               run->job.ref.reply, run->job.tries, gc_gemini_error_name(outcome->error),
               outcome->detail, outcome->error_code, model, ms, run->trace);
    } else if (outcome) {
        gc_log(o->log, GEM0401,
               "reply %" APR_INT64_T_FMT ": %s, try %d, model %s, %d ms, %d + %d tokens%s",
               run->job.ref.reply, outcome->detail, run->job.tries, model, ms,
               outcome->usage.prompt, outcome->usage.candidates, run->trace);
    }
}

static const gc_count_e failures[] = {[GC_GEMINI_ERROR_NONE] = GC_COUNT_REPLY_UPSTREAM,
                                      [GC_GEMINI_ERROR_BLOCKED] = GC_COUNT_REPLY_BLOCKED,
                                      [GC_GEMINI_ERROR_RATE_LIMITED] = GC_COUNT_REPLY_RATE_LIMITED,
                                      [GC_GEMINI_ERROR_UPSTREAM] = GC_COUNT_REPLY_UPSTREAM,
                                      [GC_GEMINI_ERROR_TIMEOUT] = GC_COUNT_REPLY_TIMEOUT,
                                      [GC_GEMINI_ERROR_TOO_LONG] = GC_COUNT_REPLY_TOO_LONG,
                                      [GC_GEMINI_ERROR_POISON] = GC_COUNT_REPLY_POISON};

static const gc_count_e retries[] = {[GC_GEMINI_ERROR_NONE] = GC_COUNT_RETRY_UPSTREAM,
                                     [GC_GEMINI_ERROR_BLOCKED] = GC_COUNT_RETRY_BLOCKED,
                                     [GC_GEMINI_ERROR_RATE_LIMITED] = GC_COUNT_RETRY_RATE_LIMITED,
                                     [GC_GEMINI_ERROR_UPSTREAM] = GC_COUNT_RETRY_UPSTREAM,
                                     [GC_GEMINI_ERROR_TIMEOUT] = GC_COUNT_RETRY_TIMEOUT,
                                     [GC_GEMINI_ERROR_TOO_LONG] = GC_COUNT_RETRY_TOO_LONG,
                                     [GC_GEMINI_ERROR_POISON] = GC_COUNT_RETRY_UPSTREAM};

static void count_tokens(gc_metrics_t *m, const gc_gemini_usage_t *usage)
{
    gc_metrics_add(m, GC_COUNT_TOKENS_PROMPT, usage->prompt);
    gc_metrics_add(m, GC_COUNT_TOKENS_CACHED, usage->cached);
    gc_metrics_add(m, GC_COUNT_TOKENS_THOUGHT, usage->thoughts);
    gc_metrics_add(m, GC_COUNT_TOKENS_REPLY, usage->candidates);
}

/* The end of a reply, or of a try: it is stored. */
static void count_end(const gc_run_t *run)
{
    const gc_gemini_outcome_t *o = run->outcome;
    gc_metrics_t *m = metrics_of(run);

    if (run->stored != APR_SUCCESS || !o) {
        return; /* another process's by now, or given back */
    }
    if (run->decision.again) {
        gc_metrics_count(m, retries[o->error]);
        return;
    }
    count_tokens(m, &o->usage);
    if (o->verdict == GC_GEMINI_CANCELLED) {
        gc_metrics_count(m, GC_COUNT_REPLY_CANCELLED);
    } else if (o->verdict == GC_GEMINI_DONE || o->verdict == GC_GEMINI_TRUNCATED) {
        gc_metrics_count(m, GC_COUNT_REPLY_DONE);
        gc_metrics_time(m, GC_TIME_REPLY_WHOLE, run->job.age + apr_time_now() - run->started);
    } else {
        gc_metrics_count(m, failures[o->error]);
    }
}

static void stored_cb(void *baton)
{
    gc_run_t *run = baton;
    gc_worker_t *w = run->worker;

    if (store_later(run)) {
        return;
    }
    log_end(run);
    count_end(run);
    run->ended = run->stored == APR_SUCCESS && !run->decision.again;
    if (run->ended && w->options.backlog) {
        gc_backlog_add(w->options.backlog, -1);
    }
    if (run->decision.again) {
        gc_loop_worker_claim_after(w, run->decision.delay.delay);
    } else if (run->next_due || run->job.lost >= SUSPECT) {
        gc_loop_worker_claim(w);
    }
    free_run(run);
    if (w->again) {
        gc_loop_worker_claim(w);
    }
}

/* --- Storing, on the pool ------------------------------------------------ */

/* What of Gemini's count fell on the prompt's own text: all that it counted less
 * what went with it. Out of proportion to the text, it is not believed. */
static apr_int64_t weigh_prompt(const gc_run_t *run)
{
    apr_int64_t weight = run->outcome->usage.prompt - run->history_tokens;

    return weight > 0 && weight <= 4 * (apr_int64_t)run->job.tokens ? weight : -1;
}

static const char *word_or_null(const char *word)
{
    return *word ? word : NULL;
}

/* What became of a try, for admins: the word that the log has for it, and Gemini's own. */
static const char *reason_of(const gc_gemini_outcome_t *outcome, apr_pool_t *scratch)
{
    return *outcome->error_code && strcasecmp(outcome->error_code, outcome->detail) != 0
               ? apr_pstrcat(scratch, outcome->detail, " ", outcome->error_code, NULL)
               : outcome->detail;
}

static void describe_end(const gc_run_t *run, apr_pool_t *scratch, gc_job_end_t *end)
{
    const gc_gemini_outcome_t *o = run->outcome;
    int stopped = o->verdict == GC_GEMINI_CANCELLED;
    int done = stopped || o->verdict == GC_GEMINI_DONE || o->verdict == GC_GEMINI_TRUNCATED;

    memset(end, 0, sizeof(*end));
    end->status = stopped ? "cancelled" : done ? "done" : "failed";
    end->content = done ? apr_pstrmemdup(scratch, o->text, o->text_length) : "";
    end->error = done ? NULL : gc_gemini_error_name(o->error);
    end->error_detail = done ? NULL : o->message;
    end->finish_reason = word_or_null(o->finish_reason);
    end->model = *o->model_version ? o->model_version : run->model;
    end->tokens = o->usage.candidates ? o->usage.candidates
                  : *end->content     ? gc_weight(end->content)
                                      : 0;
    end->prompt_tokens = o->usage.prompt ? o->usage.prompt : -1;
    end->cached_tokens = o->usage.prompt ? o->usage.cached : -1;
    end->thought_tokens = o->usage.prompt ? o->usage.thoughts : -1;
    end->prompt_weight = done ? weigh_prompt(run) : -1;
    end->refund = run->decision.refund;
    end->reason = done ? NULL : reason_of(o, scratch);
}

static void store_run(void *baton)
{
    gc_run_t *run = baton;
    gc_db_t *db = run->worker->options.db;
    apr_pool_t *scratch; /* it may come to many tries */
    gc_job_end_t end;

    apr_pool_create(&scratch, run->pool);
    if (run->decision.again) {
        gc_job_delay_t delay = run->decision.delay;

        delay.error = run->outcome ? gc_gemini_error_name(run->outcome->error) : NULL;
        delay.reason = run->outcome ? reason_of(run->outcome, scratch) : NULL;
        run->stored = gc_job_put_off(db, scratch, &run->job.ref, &delay);
    } else {
        describe_end(run, scratch, &end);
        run->stored = gc_job_finish(db, scratch, &run->job.ref, &end, &run->next_due);
    }
    apr_pool_destroy(scratch);
    post(run, stored_cb);
}

/* --- Asking Gemini, on the loop ------------------------------------------ */

static void put_off(gc_run_t *run, apr_interval_time_t delay)
{
    run->decision = (gc_decision_t){.again = 1};
    run->decision.delay.delay = delay;
    run->decision.delay.uncount = 1;
    run->outcome = NULL;
    gc_worker_push(run->worker, store_run, run);
}

static gc_policy_t policy_of(const gc_run_t *run)
{
    const gc_worker_options_t *o = &run->worker->options;

    return (gc_policy_t){.tries = o->tries,
                         .backoff = o->backoff,
                         .has_fallback = o->fallback && strcmp(o->fallback, run->model) != 0,
                         .has_key = o->breaker.faults
                                    && gc_breaker_has_key(run->worker->breaker, run->model),
                         .patience = o->gemini.timeouts.total};
}

static void answered(gc_run_t *run, const gc_gemini_outcome_t *outcome)
{
    gc_worker_t *w = run->worker;
    gc_policy_t policy;

    report(run, outcome);
    policy = policy_of(run);
    run->outcome = outcome;
    run->decision = gc_policy_decide(&policy, &run->job, outcome);
    if (outcome->config_alarm) {
        gc_metrics_count(metrics_of(run), GC_COUNT_ALARMS);
        gc_log(w->options.log, GEM0403, "reply %" APR_INT64_T_FMT ": model %s: %s %s%s",
               run->job.ref.reply, run->model, outcome->detail, outcome->error_code, run->trace);
    }
    gc_worker_push(w, store_run, run);
}

static void head_cb(void *baton, int status, const char *content_type)
{
    gc_run_t *run = baton;

    (void)content_type;
    gc_gemini_reader_head(run->reader, status);
}

/* Whoever reads along gets what has come. */
static void show_text(gc_run_t *run)
{
    const gc_sink_t *sink = run->worker->options.sink;
    apr_size_t length;
    const char *text = gc_gemini_reader_text(run->reader, &length);

    if (sink) {
        sink->text(sink->baton, &run->job.ref.room, run->job.ref.reply, run->job.ref.fence, text,
                   length);
    }
    run->has_news = 0;
}

/* The first text of all. */
static void note_spoken(gc_run_t *run)
{
    apr_time_t now = apr_time_now();

    run->has_spoken = 1;
    gc_metrics_time(metrics_of(run), GC_TIME_CALL_FIRST, now - run->asked);
    gc_metrics_time(metrics_of(run), GC_TIME_REPLY_FIRST, run->job.age + now - run->started);
}

static apr_status_t data_cb(void *baton, const char *bytes, apr_size_t length)
{
    gc_run_t *run = baton;
    apr_status_t rv = gc_gemini_reader_data(run->reader, bytes, length);

    if (run->has_news && !run->has_spoken) {
        note_spoken(run);
    }
    if (run->has_news) {
        show_text(run);
    }
    return rv;
}

static void done_cb(void *baton, const gc_http_result_t *result)
{
    gc_run_t *run = baton;

    run->call = NULL;
    answered(run, gc_gemini_reader_end(run->reader, result));
}

/* Text is shown once for all that came by one read. */
static apr_status_t delta_cb(void *baton, const char *text, apr_size_t length)
{
    gc_run_t *run = baton;

    (void)text;
    (void)length;
    run->has_news = 1;
    return APR_SUCCESS;
}

/* Every key's circuit is open. */
static void rest(gc_run_t *run, const gc_breaker_rest_t *why)
{
    gc_policy_t policy = policy_of(run);

    gc_metrics_count(metrics_of(run), GC_COUNT_UNASKED);
    gc_gemini_outcome_unasked(&run->unasked, why->error);
    run->outcome = &run->unasked;
    run->decision = gc_policy_rest(&policy, &run->job, why);
    gc_worker_push(run->worker, store_run, run);
}

static void ask(gc_run_t *run)
{
    static const gc_http_handler_t handler = {head_cb, data_cb, done_cb};
    gc_worker_t *w = run->worker;
    gc_breaker_rest_t why;

    run->turn = gc_breaker_take(w->breaker, run->model, &why);
    if (run->turn.key < 0) {
        rest(run, &why);
        return;
    }
    gc_gemini_request_key(&run->request, run->pool, w->options.keys[run->turn.key]);
    run->reader = gc_gemini_reader_create(run->pool, w->options.gemini.max_reply, delta_cb, run);
    show_text(run);
    gc_metrics_change(metrics_of(run), GC_GAUGE_CALLS, 1);
    run->asked = apr_time_now();
    gc_log(w->options.log, GEM0416, "reply %" APR_INT64_T_FMT ": try %d, model %s%s",
           run->job.ref.reply, run->job.tries, run->model, run->trace);
    run->call = gc_loop_http_start(w->http, run->pool, &run->request, &handler, run);
}

/* Nobody is to die of it any more. */
static void end_poison(gc_run_t *run)
{
    gc_log(run->worker->options.log, GEM0412,
           "reply %" APR_INT64_T_FMT ": %d processes that tried it are gone: it fails%s",
           run->job.ref.reply, run->job.lost, run->trace);
    gc_gemini_outcome_unasked(&run->unasked, GC_GEMINI_ERROR_POISON);
    run->outcome = &run->unasked;
    run->decision = (gc_decision_t){.refund = 1};
    gc_worker_push(run->worker, store_run, run);
}

/* From the pool: the run is ready to be asked. */
static void prepared_cb(void *baton)
{
    gc_run_t *run = baton;
    gc_worker_t *w = run->worker;

    if (run->job.cancelled) {
        run->outcome = &cancelled;
        gc_worker_push(w, store_run, run);
    } else if (run->job.lost >= POISON) {
        end_poison(run);
    } else if (w->draining) {
        put_off(run, 0);
    } else if (run->prepared == APR_SUCCESS) {
        ask(run);
    } else if (is_passing(run->prepared)) {
        put_off(run, GC_DB_RETRY_AFTER);
    } else {
        answered(run, &impossible);
    }
}

void gc_loop_run_cancel(gc_run_t *run)
{
    if (run->call) {
        hang_up(run);
        run->outcome = gc_gemini_reader_cancel(run->reader);
        memset(&run->decision, 0, sizeof(run->decision));
        gc_worker_push(run->worker, store_run, run);
    }
}

void gc_loop_run_give_back(gc_run_t *run)
{
    if (run->call) {
        hang_up(run);
        put_off(run, 0);
    }
}

void gc_loop_run_drop(gc_run_t *run, int is_gone)
{
    if (run->call) {
        gc_log(run->worker->options.log, GEM0404, "reply %" APR_INT64_T_FMT ": the job is %s%s",
               run->job.ref.reply, is_gone ? "gone" : "another process's", run->trace);
        run->ended = is_gone;
        hang_up(run);
        free_run(run);
    }
}

/* --- Preparing, on the pool ----------------------------------------------- */

/* Turns as Gemini wants them: oldest first, the prompt last. */
static void make_turns(gc_run_t *run, apr_pool_t *scratch, const apr_array_header_t *history,
                       gc_gemini_prompt_t *prompt)
{
    int count = 2 * history->nelts + 1, i;
    gc_gemini_turn_t *turns = apr_palloc(scratch, sizeof(*turns) * (apr_size_t)count);
    gc_gemini_turn_t *turn = turns + count;

    *--turn = (gc_gemini_turn_t){GC_GEMINI_USER, run->job.content};
    for (i = 0; i < history->nelts; i++) {
        const gc_turn_t *old = &APR_ARRAY_IDX(history, i, gc_turn_t);

        *--turn = (gc_gemini_turn_t){GC_GEMINI_MODEL, old->reply};
        *--turn = (gc_gemini_turn_t){GC_GEMINI_USER, old->prompt};
        run->history_tokens += old->tokens;
    }
    prompt->turns = turns;
    prompt->turn_count = (apr_size_t)count;
}

static apr_status_t prepare(gc_run_t *run)
{
    const gc_worker_options_t *o = &run->worker->options;
    gc_job_t *job = &run->job;
    gc_gemini_prompt_t prompt = {0};
    apr_array_header_t *history;
    apr_pool_t *scratch; /* the whole history is not kept beside the request that is made of it */
    int room_left;
    apr_status_t rv;

    apr_pool_create(&scratch, run->pool);
    prompt.system = job->system_prompt ? job->system_prompt : o->system_prompt;
    prompt.model = job->fallback && o->fallback ? o->fallback
                   : job->model                 ? job->model
                                                : o->gemini.model;
    run->model = apr_pstrdup(run->pool, prompt.model);
    run->history_tokens = gc_weight(prompt.system);
    room_left = o->context_tokens - job->tokens - run->history_tokens;
    rv = gc_job_history(o->db, scratch, job, room_left > 0 ? room_left : 0, &history);
    if (rv == APR_SUCCESS) {
        make_turns(run, scratch, history, &prompt);
        rv = gc_gemini_request_make(&run->request, run->pool, &o->gemini, &prompt);
    }
    apr_pool_destroy(scratch);
    job->content = job->model = job->system_prompt = NULL;
    return rv;
}

/* Each try is a span of its own below what asked for the reply. */
static void describe_trace(gc_run_t *run)
{
    const gc_trace_t *trace = &run->job.trace;
    char span[sizeof(trace->span)];

    if (*trace->id) {
        gc_trace_span(span);
        apr_snprintf(run->trace, sizeof(run->trace), ", trace %s span %s parent %s", trace->id,
                     span, trace->span);
    }
}

gc_run_t *gc_run_create(gc_worker_t *worker, const gc_job_t *job)
{
    apr_pool_t *pool = gc_companion_pool();
    gc_run_t *run = apr_pcalloc(pool, sizeof(*run));

    run->pool = pool;
    run->worker = worker;
    run->job = *job;
    describe_trace(run);
    run->turn.key = -1;
    run->started = apr_time_now();
    return run;
}

void gc_loop_run_add(gc_run_t *run)
{
    gc_worker_t *w = run->worker;

    APR_RING_INSERT_TAIL(&w->runs, run, gc_run_t, link);
    w->run_count++;
    gc_metrics_change(metrics_of(run), GC_GAUGE_RUNNING, 1);
}

void gc_run_prepare(gc_run_t *run)
{
    const gc_job_t *job = &run->job;

    run->prepared = job->cancelled || job->lost >= POISON ? APR_SUCCESS : prepare(run);
    post(run, prepared_cb);
}
