/* SPDX-License-Identifier: Apache-2.0
 * Which API key a model is asked with, and whether it is asked at all: a circuit breaker for each
 * key and model, of this process.
 *
 *   closed ── so many faults in a row, a rate limit, a spent quota, a refused key ──▶ open
 *     ▲                                                                              │ its rest is
 * over └────────────── it is answered ── half-open: one call is let through ◀─────────┘ │ it is
 * not: open, for twice as long
 *
 * Keys take turns; one whose circuit is open is passed over. The loop's.
 */
#ifndef GC_BREAKER_H
#define GC_BREAKER_H

#include "core/log.h"
#include "core/metrics.h"
#include "upstream/gemini_outcome.h"

typedef struct gc_breaker_options_t {
    const gc_log_t *log;
    gc_metrics_t *metrics;    /* or NULL */
    int keys;                 /* how many there are */
    int faults;               /* in a row open a circuit; 0: none is ever opened */
    apr_interval_time_t rest; /* for so long; twice as long each further time, up to MOST_REST */
} gc_breaker_options_t;

typedef struct gc_breaker_t gc_breaker_t;

/* Why nothing is asked. */
typedef struct gc_breaker_rest_t {
    apr_interval_time_t wait; /* until it may be asked again */
    int is_long; /* every key's quota is spent, or it is refused: waiting is of no use */
    gc_gemini_error_e error;
} gc_breaker_rest_t;

/* Lives as long as the pool. */
gc_breaker_t *gc_breaker_create(apr_pool_t *pool, const gc_breaker_options_t *options);

/* Leave for one call. */
typedef struct gc_breaker_turn_t {
    int key;      /* its place, from 0; -1: there is none */
    int is_probe; /* it tries out a circuit that is half-open */
} gc_breaker_turn_t;

/* Which key to ask a model with; none: see *rest. Each turn that was given is to be reported on
 * once. */
gc_breaker_turn_t gc_breaker_take(gc_breaker_t *breaker, const char *model,
                                  gc_breaker_rest_t *rest);

/* Whether there is a key that could be used. */
int gc_breaker_has_key(const gc_breaker_t *breaker, const char *model);

/* What came of it; NULL: nothing that tells anything (cancelled, given back). */
void gc_breaker_report(gc_breaker_t *breaker, const char *model, gc_breaker_turn_t turn,
                       const gc_gemini_outcome_t *outcome);

#endif
