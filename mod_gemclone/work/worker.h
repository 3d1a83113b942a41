/* SPDX-License-Identifier: Apache-2.0
 * Generates the replies that are owed: claims jobs, asks Gemini, stores what
 * came, or puts the job off.
 *
 *   poke ─▶ claim ─▶ prepare ─▶ ask ─▶ finish     (on the loop: poke, ask and cancel;
 *             ▲                  └───▶ put off      what runs SQL: on the pool)
 *             └── poll, retry, a room's next reply
 *
 * A claimed job is this process' until its lease ends. The lease is renewed
 * while the reply is generated; a process that dies renews nothing, and another
 * takes the job.
 */
#ifndef GC_WORKER_H
#define GC_WORKER_H

#include "breaker.h"
#include "companion.h"
#include "core/log.h"
#include "core/metrics.h"
#include "sink.h"
#include "store/backlog.h"
#include "store/db.h"
#include "upstream/gemini.h"

typedef struct gc_worker_options_t {
    gc_db_t *db;
    gc_companion_t *companion;
    const gc_log_t *log;
    const char *site;      /* whose jobs */
    const gc_sink_t *sink; /* or NULL */
    gc_backlog_t *backlog; /* is told of replies that have ended; or NULL */
    gc_metrics_t *metrics; /* or NULL */
    const char *name;      /* of this process, as the table of jobs has it */
    int most;              /* replies at once */
    apr_interval_time_t lease, poll;
    gc_gemini_settings_t gemini;
    const char *ca_file;          /* or NULL */
    const char *const *keys;      /* API keys, which take turns */
    gc_breaker_options_t breaker; /* knows how many keys there are */
    const char *fallback;         /* another model, or NULL */
    const char *system_prompt;    /* where a room has none; or NULL */
    int context_tokens;           /* bound of all that is sent */
    int tries;                    /* a reply */
    apr_interval_time_t backoff;
    apr_off_t most_kept; /* bytes of replies that Postgres cannot take at the moment */
} gc_worker_options_t;

typedef struct gc_worker_t gc_worker_t;

/* Before the loop runs, or on it. The worker lives as long as the pool, which
 * must be cleared on the loop's thread, after the worker is drained. */
GC_MUST_CHECK apr_status_t gc_loop_worker_start(apr_pool_t *pool,
                                                const gc_worker_options_t *options,
                                                gc_worker_t **worker);

/* Any thread: a job was made, or may have become due. */
void gc_worker_poke(gc_worker_t *worker);

/* Any thread: the user of a reply has cancelled it, and this worker may have it. Those that
 * other processes were told of are found in the table, twice a second; so are those that were
 * deleted, with their rooms or users. */
void gc_worker_cancel(gc_worker_t *worker, apr_int64_t reply);

/* Any thread: claims nothing from now on. */
void gc_worker_stop_claiming(gc_worker_t *worker);

/* Lets running replies go on for so long, gives back what is left then, and calls
 * drained(baton) once when this worker has nothing on any thread any more. Called again, it
 * changes how long. */
void gc_loop_worker_drain(gc_worker_t *worker, apr_interval_time_t patience,
                          void (*drained)(void *baton), void *baton);

#endif
