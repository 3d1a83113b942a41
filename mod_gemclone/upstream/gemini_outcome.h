/* SPDX-License-Identifier: Apache-2.0
 * What became of one call to Gemini, and what to do about it. */
#ifndef GC_UPSTREAM_GEMINI_OUTCOME_H
#define GC_UPSTREAM_GEMINI_OUTCOME_H

#include <apr_time.h>

#include "http.h"

struct json_t;

#define GC_GEMINI_WORD 64

/* Any thread. The values that Google documents are tables in gemini_outcome.c; values that are not
 * in them are never an error of their own, they fall into the row of the odd ones. */

typedef enum {
    GC_GEMINI_DONE,
    GC_GEMINI_TRUNCATED, /* done, but cut at maxOutputTokens */
    GC_GEMINI_BLOCKED,   /* declined by Gemini's rules: what text came must not stay */
    GC_GEMINI_FAILED,
    GC_GEMINI_CANCELLED, /* by its user: what text came stays */
} gc_gemini_verdict_e;

/* The kinds that API.md names. */
typedef enum {
    GC_GEMINI_ERROR_NONE,
    GC_GEMINI_ERROR_BLOCKED,
    GC_GEMINI_ERROR_RATE_LIMITED,
    GC_GEMINI_ERROR_UPSTREAM,
    GC_GEMINI_ERROR_TIMEOUT,
    GC_GEMINI_ERROR_TOO_LONG,
    GC_GEMINI_ERROR_POISON, /* its tries killed the processes that made them */
} gc_gemini_error_e;

typedef enum {
    GC_GEMINI_RETRY_NO,
    GC_GEMINI_RETRY_YES,      /* with the usual backoff */
    GC_GEMINI_RETRY_AFTER,    /* not before `delay` is over */
    GC_GEMINI_RETRY_FALLBACK, /* not with this model: it is gone, or its quota is for long */
    GC_GEMINI_RETRY_ONCE,     /* but not a second time */
} gc_gemini_retry_e;

typedef struct {
    int prompt; /* with the cached ones */
    int cached;
    int candidates;
    int thoughts;
} gc_gemini_usage_t;

typedef struct {
    gc_gemini_verdict_e verdict;
    gc_gemini_error_e error;
    gc_gemini_retry_e retry;
    apr_interval_time_t delay; /* GC_GEMINI_RETRY_AFTER only */
    int config_alarm;          /* key, region, billing, model, certificate: an admin must act */
    int key_refused;           /* this key, that is: another one may do */
    int prompt_blocked;        /* blocked before anything was generated: give the quota back */
    int http_status;           /* 0: no answer */
    const char *detail;        /* a word of ours for logs, metrics and tables; static */
    const char *message;       /* a sentence for the end user, "" when done; static */

    const char *text; /* all that was delivered, not terminated; as long as the reader */
    apr_size_t text_length;
    gc_gemini_usage_t usage; /* 0 what Gemini did not tell */
    /* Gemini's own words, "" when it did not tell; letters, digits and _.:/- only. */
    char finish_reason[GC_GEMINI_WORD];
    char error_code[GC_GEMINI_WORD]; /* of an error: ErrorInfo's reason, or else the status */
    char model_version[GC_GEMINI_WORD];
} gc_gemini_outcome_t;

/* "blocked", "rate_limited", ...: the name that API.md gives the kind; "" for none. */
const char *gc_gemini_error_name(gc_gemini_error_e error);

/*
 * For the reader: each of these settles verdict, error, retry, delay, config_alarm, prompt_blocked,
 * detail and message, and error_code where there is one. `detail` is NULL until then.
 */

/* By finish_reason, which is not empty, and by whether there is text. */
void gc_gemini_outcome_finish(gc_gemini_outcome_t *outcome);

/* By promptFeedback.blockReason. */
void gc_gemini_outcome_block_prompt(gc_gemini_outcome_t *outcome, const char *block_reason);

/* By an error's JSON, borrowed; NULL when there was none: http_status alone decides then. In the
 * middle of a stream, where that is 200, the code in the JSON does. */
void gc_gemini_outcome_error(gc_gemini_outcome_t *outcome, const struct json_t *body);

/* By how the transfer ended, when no finishReason came. GC_HTTP_OK: the answer was incomplete. */
void gc_gemini_outcome_transport(gc_gemini_outcome_t *outcome, gc_http_reason_e reason);

/* An event was no JSON, or too big. */
void gc_gemini_outcome_malformed(gc_gemini_outcome_t *outcome);

/* The text outgrew what we keep. */
void gc_gemini_outcome_too_long(gc_gemini_outcome_t *outcome);

/* The user wants no more of it. */
void gc_gemini_outcome_cancelled(gc_gemini_outcome_t *outcome);

/* It failed for that reason before anything was asked. */
void gc_gemini_outcome_unasked(gc_gemini_outcome_t *outcome, gc_gemini_error_e error);

#endif
