/* SPDX-License-Identifier: Apache-2.0
 * Reads the answer of Gemini's streamGenerateContent. */
#include "gemini_reader.h"

#include <string.h>

#include <jansson.h>

#include "gemini_json.h"
#include "core/membuf.h"
#include "sse.h"

#define MAX_EVENT ((apr_size_t)1024 * 1024)
#define MAX_ERROR ((apr_size_t)64 * 1024)

struct gc_gemini_reader_t {
    gc_gemini_delta_cb *on_delta;
    void *baton;
    gc_sse_t *sse;
    gc_membuf_t text;
    gc_membuf_t error; /* the body of an answer that is no success */
    char block_reason[GC_GEMINI_WORD];
    gc_gemini_outcome_t outcome; /* settled when it has a detail */
};

/* ---- one event ---- */

static apr_status_t take_piece(gc_gemini_reader_t *reader, const char *piece, apr_size_t length)
{
    apr_status_t status = gc_membuf_append(&reader->text, piece, length);

    if (status == APR_ENOSPC) {
        gc_gemini_outcome_too_long(&reader->outcome);
    }
    if (status == APR_SUCCESS && length > 0) {
        status = reader->on_delta(reader->baton, piece, length);
    }
    return status;
}

/* U+0000 is left out by handing out what is before it and what is behind. */
static apr_status_t take_text(gc_gemini_reader_t *reader, const char *text, apr_size_t length)
{
    const char *end = text + length;
    apr_status_t status = APR_SUCCESS;

    while (text < end && status == APR_SUCCESS) {
        const char *nul = memchr(text, '\0', (apr_size_t)(end - text));
        const char *stop = nul ? nul : end;

        status = take_piece(reader, text, (apr_size_t)(stop - text));
        text = nul ? nul + 1 : end;
    }
    return status;
}

static apr_status_t take_parts(gc_gemini_reader_t *reader, const json_t *parts)
{
    apr_status_t status = APR_SUCCESS;
    apr_size_t i;

    for (i = 0; i < json_array_size(parts) && status == APR_SUCCESS; i++) {
        const json_t *part = json_array_get(parts, i);
        const json_t *text = json_object_get(part, "text");

        if (json_is_string(text) && !json_is_true(json_object_get(part, "thought"))) {
            status = take_text(reader, json_string_value(text), json_string_length(text));
        }
    }
    return status;
}

static void take_usage(gc_gemini_usage_t *usage, const json_t *metadata)
{
    if (json_is_object(metadata)) {
        usage->prompt = gc_gemini_json_count(metadata, "promptTokenCount");
        usage->cached = gc_gemini_json_count(metadata, "cachedContentTokenCount");
        usage->candidates = gc_gemini_json_count(metadata, "candidatesTokenCount");
        usage->thoughts = gc_gemini_json_count(metadata, "thoughtsTokenCount");
    }
}

static apr_status_t take_answer(gc_gemini_reader_t *reader, const json_t *answer)
{
    const json_t *candidate = json_array_get(json_object_get(answer, "candidates"), 0);
    const json_t *feedback = json_object_get(answer, "promptFeedback");
    gc_gemini_outcome_t *outcome = &reader->outcome;

    take_usage(&outcome->usage, json_object_get(answer, "usageMetadata"));
    gc_gemini_json_word(outcome->model_version, GC_GEMINI_WORD, answer, "modelVersion");
    gc_gemini_json_word(outcome->finish_reason, GC_GEMINI_WORD, candidate, "finishReason");
    gc_gemini_json_word(reader->block_reason, GC_GEMINI_WORD, feedback, "blockReason");
    return take_parts(reader, json_object_get(json_object_get(candidate, "content"), "parts"));
}

/* An error may come as an event or bare, and then in an array. Nothing else comes bare. */
static apr_status_t event_cb(void *baton, gc_sse_kind_e kind, const char *data, apr_size_t length)
{
    gc_gemini_reader_t *reader = baton;
    json_t *root = gc_gemini_json_load(data, length);
    const json_t *answer = json_is_array(root) ? json_array_get(root, 0) : root;
    apr_status_t status = APR_EGENERAL;

    if (json_object_get(answer, "error")) {
        gc_gemini_outcome_error(&reader->outcome, root);
    } else if (json_is_object(answer) && kind == GC_SSE_EVENT) {
        status = take_answer(reader, answer);
    } else {
        gc_gemini_outcome_malformed(&reader->outcome);
    }
    json_decref(root);
    return status;
}

/* ---- the answer ---- */

gc_gemini_reader_t *gc_gemini_reader_create(apr_pool_t *pool, apr_size_t max_reply,
                                            gc_gemini_delta_cb *on_delta, void *baton)
{
    gc_gemini_reader_t *reader = apr_pcalloc(pool, sizeof(*reader));

    reader->on_delta = on_delta;
    reader->baton = baton;
    reader->sse = gc_sse_create(pool, MAX_EVENT, event_cb, reader);
    gc_membuf_init(&reader->text, pool, max_reply);
    gc_membuf_init(&reader->error, pool, MAX_ERROR);
    return reader;
}

static int is_success(int http_status)
{
    return http_status >= 200 && http_status < 300;
}

void gc_gemini_reader_head(gc_gemini_reader_t *reader, int http_status)
{
    reader->outcome.http_status = http_status;
}

static apr_status_t take_error(gc_gemini_reader_t *reader, const char *bytes, apr_size_t length)
{
    apr_size_t room = MAX_ERROR - reader->error.length;

    return gc_membuf_append(&reader->error, bytes, length < room ? length : room);
}

apr_status_t gc_gemini_reader_data(gc_gemini_reader_t *reader, const char *bytes, apr_size_t length)
{
    apr_status_t status;

    if (!is_success(reader->outcome.http_status)) {
        return take_error(reader, bytes, length);
    }
    status = gc_sse_feed(reader->sse, bytes, length);
    if (status == APR_ENOSPC && !reader->outcome.detail) {
        gc_gemini_outcome_malformed(&reader->outcome);
    }
    return status;
}

static void settle_error(gc_gemini_reader_t *reader)
{
    json_t *body = gc_gemini_json_load(reader->error.bytes, reader->error.length);

    gc_gemini_outcome_error(&reader->outcome, body);
    json_decref(body);
}

/* A finishReason means that the answer is whole, whatever became of the connection afterwards. */
static void settle_stream(gc_gemini_reader_t *reader, gc_http_reason_e reason)
{
    gc_gemini_outcome_t *outcome = &reader->outcome;
    apr_status_t status = gc_sse_end(reader->sse);

    if (outcome->detail) {
        return; /* a bare error was the end */
    }
    if (outcome->finish_reason[0] && status == APR_SUCCESS) {
        gc_gemini_outcome_finish(outcome);
    } else if (reader->block_reason[0] && status == APR_SUCCESS) {
        gc_gemini_outcome_block_prompt(outcome, reader->block_reason);
    } else {
        gc_gemini_outcome_transport(outcome, reason);
    }
}

const char *gc_gemini_reader_text(const gc_gemini_reader_t *reader, apr_size_t *length)
{
    *length = reader->text.length;
    return reader->text.bytes ? reader->text.bytes : "";
}

const gc_gemini_outcome_t *gc_gemini_reader_cancel(gc_gemini_reader_t *reader)
{
    gc_gemini_outcome_t *outcome = &reader->outcome;

    outcome->text = gc_gemini_reader_text(reader, &outcome->text_length);
    outcome->finish_reason[0] = '\0';
    gc_gemini_outcome_cancelled(outcome);
    return outcome;
}

const gc_gemini_outcome_t *gc_gemini_reader_end(gc_gemini_reader_t *reader,
                                                const gc_http_result_t *result)
{
    gc_gemini_outcome_t *outcome = &reader->outcome;

    outcome->text = reader->text.bytes;
    outcome->text_length = reader->text.length;
    if (outcome->detail) {
        return outcome; /* it was settled while reading, and the transfer was aborted for that */
    }
    if (outcome->http_status == 0 || result->reason == GC_HTTP_ABORTED) {
        gc_gemini_outcome_transport(outcome, result->reason);
    } else if (is_success(outcome->http_status)) {
        settle_stream(reader, result->reason);
    } else {
        settle_error(reader);
    }
    return outcome;
}
