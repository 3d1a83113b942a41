/* SPDX-License-Identifier: Apache-2.0
 * Reads the answer of Gemini's streamGenerateContent. */
#ifndef GC_UPSTREAM_GEMINI_READER_H
#define GC_UPSTREAM_GEMINI_READER_H

#include "gemini_outcome.h"

/*
 * One reader for one call of http.h: on_head, on_data and on_done of the call's handler feed it.
 * Any thread, but one at a time for one reader. It is owned by the pool that it was made with, and
 * allocates nothing there later, however long the stream.
 *
 * Answers are not trusted: an event may have 1 MiB, an error body 64 KiB (the rest is ignored), all
 * text is valid UTF-8 without U+0000 (which Postgres cannot hold), parts that are thoughts are kept
 * out.
 */
typedef struct gc_gemini_reader_t gc_gemini_reader_t;

/*
 * A piece of the answer: whole UTF-8 characters, not terminated, valid during the call only. What
 * is not APR_SUCCESS ends the call. May cancel the call, but not destroy the reader's pool.
 */
typedef apr_status_t gc_gemini_delta_cb(void *baton, const char *text, apr_size_t length);

/* `max_reply` bounds the whole text, in bytes: one that grows longer fails as `too_long`. */
gc_gemini_reader_t *gc_gemini_reader_create(apr_pool_t *pool, apr_size_t max_reply,
                                            gc_gemini_delta_cb *on_delta, void *baton);

void gc_gemini_reader_head(gc_gemini_reader_t *reader, int http_status);

/* Not APR_SUCCESS when the rest of the answer is of no use. Made to be what on_data returns. */
apr_status_t gc_gemini_reader_data(gc_gemini_reader_t *reader, const char *bytes, apr_size_t length)
    __attribute__((warn_unused_result));

/* All text that came so far, not terminated; valid until the next call of the reader. */
const char *gc_gemini_reader_text(const gc_gemini_reader_t *reader, apr_size_t *length);

/* In the place of gc_gemini_reader_end, for a call that was cancelled. */
const gc_gemini_outcome_t *gc_gemini_reader_cancel(gc_gemini_reader_t *reader);

/* Once, from on_done. The outcome lives as long as the reader. */
const gc_gemini_outcome_t *gc_gemini_reader_end(gc_gemini_reader_t *reader,
                                                const gc_http_result_t *result);

#endif
