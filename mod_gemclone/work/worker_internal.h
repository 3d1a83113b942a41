/* SPDX-License-Identifier: Apache-2.0
 * What the worker's two halves share: worker.c has the jobs of this process, run.c one try at a
 * reply.
 */
#ifndef GC_WORKER_INTERNAL_H
#define GC_WORKER_INTERNAL_H

#include <apr_ring.h>

#include "breaker.h"
#include "policy.h"
#include "store/job.h"
#include "upstream/gemini_reader.h"
#include "upstream/http.h"
#include "worker.h"

typedef struct gc_run_t gc_run_t;

/* The loop's, but for what says otherwise. */
struct gc_worker_t {
    gc_worker_options_t options;
    gc_loop_t *loop;
    gc_http_t *http;
    gc_breaker_t *breaker;
    struct event *poll, *renew, *look, *drain;
    APR_RING_HEAD(runs_t, gc_run_t) runs; /* those that the loop knows of */
    int run_count;
    int reserved; /* to be claimed, and not in runs yet */
    int claiming; /* a claim is on its way; one at a time */
    int again;    /* and another is wanted after it */
    int renewing;
    int looking;            /* for replies that are not to go on */
    int failing;            /* the last claim or renewal failed */
    apr_time_t frees_from;  /* until then, jobs whose lease has ended are left to their processes */
    int unstored;           /* runs that wait for Postgres with their end... */
    apr_off_t kept;         /* ...and what they keep in memory for that, in bytes */
    apr_time_t claims_from; /* while there are some */
    int stopped;            /* atomic: no more claims */
    int poked;              /* atomic: poke_task is posted */
    gc_loop_task_t poke_task;
    int draining, drain_over;
    void (*drained)(void *baton);
    void *drained_baton;
};

/* One try at a reply. It is on one thread at a time: prepared on the pool, then on the loop,
 * stored from the pool, freed on the loop; but what it is a try at may be read on the loop all the
 * time. */
struct gc_run_t {
    APR_RING_ENTRY(gc_run_t) link;
    gc_worker_t *worker;
    apr_pool_t *pool;
    gc_loop_task_t task;
    gc_job_t job;   /* its texts are not kept */
    char trace[96]; /* what log lines end with: the trace, the try's own span and its parent; or ""
                     */
    const char *model;
    int history_tokens; /* of history and system instruction */
    apr_time_t started;
    apr_time_t asked; /* Gemini */
    int has_spoken;   /* text has come */
    apr_status_t prepared;
    gc_http_request_t request;
    gc_breaker_turn_t turn; /* no key: none is in use */
    gc_http_call_t *call;   /* while Gemini is asked */
    gc_gemini_reader_t *reader;
    int has_news;                       /* text that nobody was shown yet */
    const gc_gemini_outcome_t *outcome; /* once it has answered */
    gc_gemini_outcome_t unasked;        /* in place of an answer */
    gc_decision_t decision;
    apr_off_t kept; /* bytes; 0: it was never unstored */
    apr_time_t keep_until;
    apr_status_t stored;
    int next_due;
    int ended; /* the reply has its end, and it is durable; or it was deleted */
};

/* --- worker.c ------------------------------------------------------------- */

/* Any thread: has call(baton) called on the pool. */
void gc_worker_push(gc_worker_t *worker, void (*call)(void *baton), void *baton);

/* On the loop: takes as many jobs as there is room for; after a while. */
void gc_loop_worker_claim(gc_worker_t *worker);
void gc_loop_worker_claim_after(gc_worker_t *worker, apr_interval_time_t delay);

/* On the loop: the drain may be over by now. */
void gc_loop_worker_check_drained(gc_worker_t *worker);

/* --- run.c ---------------------------------------------------------------- */

/* On the pool: a job that was claimed. Its texts are the job's until gc_run_prepare is over. */
gc_run_t *gc_run_create(gc_worker_t *worker, const gc_job_t *job);

/* On the loop, first of all: its lease is renewed from here on. */
void gc_loop_run_add(gc_run_t *run);

/* On the pool: prepares it and hands it to the loop, which does the rest. */
void gc_run_prepare(gc_run_t *run);

/* On the loop: hangs up on Gemini and keeps what came. One whose answer is whole already ends as
 * that. */
void gc_loop_run_cancel(gc_run_t *run);

/* On the loop: hangs up, and hands the job to whoever is next; the try does not count. */
void gc_loop_run_give_back(gc_run_t *run);

/* On the loop: hangs up, and forgets the run: the job is another's, or (is_gone) there is none. */
void gc_loop_run_drop(gc_run_t *run, int is_gone);

#endif
