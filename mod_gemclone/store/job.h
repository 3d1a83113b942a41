/* SPDX-License-Identifier: Apache-2.0
 * The queue: replies that are owed. What a lease and a fence are is told in
 * sql/deploy/jobs.sql.
 */
#ifndef GC_JOB_H
#define GC_JOB_H

#include <apr_tables.h>

#include "core/trace.h"
#include "db.h"

/* A job as a process has it. */
typedef struct gc_job_ref_t {
    gc_uuid_t room;
    apr_int64_t reply, fence;
} gc_job_ref_t;

typedef struct gc_job_t {
    gc_job_ref_t ref; /* the reply's id is the job's */
    gc_uuid_t user;
    apr_int64_t prompt; /* the prompt's id */
    int tries;          /* with this one */
    int lost;           /* tries whose process was not heard of again */
    int fallback;
    apr_interval_time_t age;   /* since the prompt was accepted */
    const char *model;         /* the room's, or NULL */
    const char *system_prompt; /* the room's, or NULL */
    const char *content;       /* the prompt's text */
    int tokens;                /* what the prompt weighs */
    int cancelled;             /* nothing is to be generated, only the end to be stored */
    gc_trace_t trace;          /* where it was asked for, or none */
} gc_job_t;

/* A turn that went before: what was said and what was answered. */
typedef struct gc_turn_t {
    const char *prompt, *reply;
    int tokens; /* of both */
} gc_turn_t;

/* Takes at most `most` jobs that are due; frees: also those of other processes whose lease has
 * ended. *jobs is an array of gc_job_t. */
GC_MUST_CHECK apr_status_t gc_job_claim(gc_db_t *db, apr_pool_t *pool, const char *site,
                                        const char *worker, int most, apr_interval_time_t lease,
                                        int frees, apr_array_header_t **jobs);

/* The whole turns before the job's that fit into so many tokens, newest first.
 * *turns is an array of gc_turn_t. */
GC_MUST_CHECK apr_status_t gc_job_history(gc_db_t *db, apr_pool_t *pool, const gc_job_t *job,
                                          int tokens, apr_array_header_t **turns);

/* Extends the leases of those of jobs, an array of gc_job_ref_t, that are still ours. */
GC_MUST_CHECK apr_status_t gc_job_renew(gc_db_t *db, apr_pool_t *pool,
                                        const apr_array_header_t *held, apr_interval_time_t lease);

typedef enum {
    GC_STOP_CANCELLED, /* by the user: what has come is kept */
    GC_STOP_LOST,      /* the job is another process' by now */
    GC_STOP_GONE       /* the reply was deleted, or has ended */
} gc_stop_e;

typedef struct gc_job_stop_t {
    apr_int64_t reply, fence;
    gc_stop_e why;
} gc_job_stop_t;

/* Those of jobs, an array of gc_job_ref_t, that are not to go on. *stops is an array of
 * gc_job_stop_t. */
GC_MUST_CHECK apr_status_t gc_job_stops(gc_db_t *db, apr_pool_t *pool,
                                        const apr_array_header_t *held, apr_array_header_t **stops);

typedef struct gc_job_delay_t {
    apr_interval_time_t delay;
    int fallback;               /* with the fallback model from now on */
    int uncount;                /* this try does not count */
    const char *error, *reason; /* why, as in gc_job_end_t; NULL: what was known stays */
} gc_job_delay_t;

/* Gives a job back, to be tried again later. GC_ENOENT: it was not ours any more. */
GC_MUST_CHECK apr_status_t gc_job_put_off(gc_db_t *db, apr_pool_t *pool, const gc_job_ref_t *job,
                                          const gc_job_delay_t *delay);

/* How a reply ended. */
typedef struct gc_job_end_t {
    const char *status;        /* "done", "failed" or "cancelled" */
    const char *content;       /* may be "" unless done */
    const char *error;         /* with "failed": as API.md has them */
    const char *error_detail;  /* with "failed": a sentence for people */
    const char *finish_reason; /* or NULL */
    const char *model;         /* or NULL */
    apr_int64_t tokens;        /* of the content */
    apr_int64_t prompt_tokens, cached_tokens, thought_tokens; /* -1: unknown */
    apr_int64_t prompt_weight; /* of the prompt's own text; -1: the estimate stays */
    int refund;                /* the prompt is given back to the user's quota */
    const char *reason;        /* with "failed": a word or two for admins, or NULL */
} gc_job_end_t;

/* Stores the end; durable when this returns. *next_due: the room has another
 * reply that became due by it. GC_ENOENT: the job was not ours any more. */
GC_MUST_CHECK apr_status_t gc_job_finish(gc_db_t *db, apr_pool_t *pool, const gc_job_ref_t *job,
                                         const gc_job_end_t *end, int *next_due);

#endif
