/* SPDX-License-Identifier: Apache-2.0
 * A reply as Gemini streams it. The input is the HTTP status, the most bytes that a reply may have
 * and the sizes of the pieces that it comes in, on one line, then the stream.
 *
 * It makes no difference how the stream was cut, and what was handed out piece by piece is what is
 * stored.
 */
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "core/membuf.h"
#include "outcome.h"
#include "upstream/gemini_reader.h"
#include "upstream/sse.h"

enum { MAX_REPLY = 4096 };

static apr_status_t delta_cb(void *baton, const char *text, apr_size_t length)
{
    HOLDS(length > 0 && fuzz_is_text(text, length));
    return gc_membuf_append(baton, text, length);
}

/* A call, as far as it goes: what was handed out, and the reader. */
typedef struct {
    gc_membuf_t deltas;
    gc_gemini_reader_t *reader;
    int is_aborted;
} call_t;

static call_t *read_stream(apr_pool_t *pool, int http_status, apr_size_t max_reply, char *sizes,
                           const uint8_t *data, size_t size)
{
    call_t *call = apr_pcalloc(pool, sizeof(*call));
    char *next = sizes;

    gc_membuf_init(&call->deltas, pool, MAX_REPLY);
    call->reader = gc_gemini_reader_create(pool, max_reply, delta_cb, &call->deltas);
    gc_gemini_reader_head(call->reader, http_status);
    while (size && !call->is_aborted) {
        size_t piece = fuzz_piece(sizes, &next, size);

        call->is_aborted =
            gc_gemini_reader_data(call->reader, fuzz_text(pool, data, piece), piece) != APR_SUCCESS;
        data += piece;
        size -= piece;
    }
    return call;
}

static const gc_gemini_outcome_t *end(call_t *call)
{
    gc_http_result_t result = {.reason = call->is_aborted ? GC_HTTP_ABORTED : GC_HTTP_OK};

    return gc_gemini_reader_end(call->reader, &result);
}

/* --- What Gemini said: the texts in the stream, read all at once ----------- */

static void take_part(gc_membuf_t *said, const json_t *part)
{
    const json_t *text = json_object_get(part, "text");
    const char *at = json_string_value(text);
    size_t left = json_string_length(text);

    for (; left && !json_is_true(json_object_get(part, "thought")); at++, left--) {
        if (*at) {
            HOLDS(gc_membuf_append(said, at, 1) == APR_SUCCESS);
        }
    }
}

static apr_status_t said_cb(void *baton, gc_sse_kind_e kind, const char *data, apr_size_t length)
{
    json_t *answer = json_loadb(data, length, JSON_ALLOW_NUL, NULL);
    const json_t *candidate = json_array_get(json_object_get(answer, "candidates"), 0);
    const json_t *parts = json_object_get(json_object_get(candidate, "content"), "parts"), *part;
    size_t i;

    json_array_foreach(parts, i, part)
    {
        if (kind == GC_SSE_EVENT) {
            take_part(baton, part);
        }
    }
    json_decref(answer);
    return APR_SUCCESS;
}

/* A stream that was read to its end has given us all of it, and nothing else. */
static void check_said(apr_pool_t *pool, const call_t *call, const uint8_t *data, size_t size)
{
    gc_membuf_t *said = apr_palloc(pool, sizeof(*said));
    gc_sse_t *sse = gc_sse_create(pool, size + 1, said_cb, said);

    gc_membuf_init(said, pool, size + 1);
    HOLDS(gc_sse_feed(sse, fuzz_text(pool, data, size), size) == APR_SUCCESS);
    HOLDS(said->length == call->deltas.length);
    HOLDS(!said->length || memcmp(said->bytes, call->deltas.bytes, said->length) == 0);
}

/* --- The outcome ---------------------------------------------------------- */

static void check_text(const call_t *call, const gc_gemini_outcome_t *outcome)
{
    HOLDS(outcome->text_length == call->deltas.length);
    HOLDS(outcome->text_length == 0
          || memcmp(outcome->text, call->deltas.bytes, outcome->text_length) == 0);
    HOLDS(outcome->verdict != GC_GEMINI_DONE || outcome->text_length > 0);
}

static void check_same(const gc_gemini_outcome_t *a, const gc_gemini_outcome_t *b)
{
    HOLDS(a->detail == b->detail && a->verdict == b->verdict && a->error == b->error);
    HOLDS(a->retry == b->retry && a->delay == b->delay && a->config_alarm == b->config_alarm);
    HOLDS(a->prompt_blocked == b->prompt_blocked && a->text_length == b->text_length);
    HOLDS(a->text_length == 0 || memcmp(a->text, b->text, a->text_length) == 0);
    HOLDS(memcmp(&a->usage, &b->usage, sizeof(a->usage)) == 0);
    HOLDS(strcmp(a->finish_reason, b->finish_reason) == 0);
    HOLDS(strcmp(a->error_code, b->error_code) == 0);
    HOLDS(strcmp(a->model_version, b->model_version) == 0);
}

static void check_cancelled(call_t *call)
{
    const gc_gemini_outcome_t *outcome = gc_gemini_reader_cancel(call->reader);

    HOLDS(outcome->verdict == GC_GEMINI_CANCELLED && *outcome->finish_reason == '\0');
    check_text(call, outcome);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size);
    int status = (int)(fuzz_number(&line, 200) % 1000);
    apr_size_t max_reply = (apr_size_t)fuzz_number(&line, MAX_REPLY) % (MAX_REPLY + 1);
    call_t *pieces = read_stream(pool, status, max_reply, line, data, size);
    call_t *whole = read_stream(pool, status, max_reply, "", data, size);
    const gc_gemini_outcome_t *outcome = end(pieces);

    check_outcome(outcome);
    check_text(pieces, outcome);
    check_same(outcome, end(whole));
    HOLDS(outcome->text_length <= max_reply);
    if (!pieces->is_aborted && status / 100 == 2) {
        check_said(pool, pieces, data, size);
    }
    check_cancelled(read_stream(pool, status, max_reply, line, data, size));
    apr_pool_destroy(pool);
    return 0;
}
