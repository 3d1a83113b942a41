/* SPDX-License-Identifier: Apache-2.0
 * The reader of event streams, beside one that is so simple that it has the whole stream before it.
 * The input is the sizes of the pieces that the stream comes in, on one line, then the stream.
 */
#include "fuzz.h"

#include <string.h>

#include "core/membuf.h"
#include "upstream/sse.h"

enum { MAX_EVENT = 64 };

/* --- What came out: "e" or "b", the length, the data ---------------------- */

static apr_status_t event_cb(void *baton, gc_sse_kind_e kind, const char *data, apr_size_t length)
{
    gc_membuf_t *log = baton;

    HOLDS(gc_membuf_append(log, kind == GC_SSE_EVENT ? "e" : "b", 1) == APR_SUCCESS);
    HOLDS(gc_membuf_append(log, (const char *)&length, sizeof(length)) == APR_SUCCESS);
    HOLDS(gc_membuf_append(log, data, length) == APR_SUCCESS);
    return APR_SUCCESS;
}

static gc_membuf_t *make_log(apr_pool_t *pool)
{
    gc_membuf_t *log = apr_palloc(pool, sizeof(*log));

    gc_membuf_init(log, pool, (apr_size_t)64 * 1024 * 1024);
    return log;
}

/* --- The reader under test ------------------------------------------------ */

static apr_status_t read_in_pieces(apr_pool_t *pool, gc_membuf_t *log, char *sizes,
                                   const uint8_t *data, size_t size)
{
    gc_sse_t *sse = gc_sse_create(pool, MAX_EVENT, event_cb, log);
    apr_status_t status = APR_SUCCESS;
    char *next = sizes;

    while (size && status == APR_SUCCESS) {
        size_t piece = fuzz_piece(sizes, &next, size);

        status = gc_sse_feed(sse, fuzz_text(pool, data, piece), piece);
        data += piece;
        size -= piece;
    }
    return status == APR_SUCCESS ? gc_sse_end(sse) : status;
}

/* --- The simple one ------------------------------------------------------- */

typedef struct {
    gc_membuf_t data;
    int has_data;
} event_t;

static apr_status_t add_data(event_t *event, const char *value, size_t len)
{
    apr_status_t status = event->has_data ? gc_membuf_append(&event->data, "\n", 1) : APR_SUCCESS;

    event->has_data = 1;
    return status == APR_SUCCESS ? gc_membuf_append(&event->data, value, len) : status;
}

/* One line without its end, which it may lack. */
static apr_status_t take_line(event_t *event, gc_membuf_t *log, const char *line, size_t len,
                              int is_whole)
{
    const char *colon = len ? memchr(line, ':', len) : NULL;
    size_t name = colon ? (size_t)(colon - line) : len;

    if (len == 0 && is_whole && event->has_data) {
        event_cb(log, GC_SSE_EVENT, event->data.bytes, event->data.length);
        event->has_data = 0;
        gc_membuf_clear(&event->data);
    }
    if (name != 4 || memcmp(line, "data", 4) != 0 || (!colon && !is_whole)) {
        return APR_SUCCESS;
    }
    line += name + (colon != NULL);
    len -= name + (colon != NULL);
    if (len && *line == ' ') {
        line++;
        len--;
    }
    return add_data(event, line, len);
}

static apr_status_t read_whole(apr_pool_t *pool, gc_membuf_t *log, const char *at, size_t size)
{
    event_t *event = apr_pcalloc(pool, sizeof(*event));
    const char *end = at + size;
    apr_status_t status = APR_SUCCESS;

    gc_membuf_init(&event->data, pool, MAX_EVENT);
    if (size >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) {
        at += 3;
    }
    while (at < end && status == APR_SUCCESS) {
        size_t len = 0;
        int is_whole;

        if (*at == '{' || *at == '[') {
            if (end - at > MAX_EVENT) {
                return APR_ENOSPC;
            }
            return event_cb(log, GC_SSE_BARE, at, (apr_size_t)(end - at));
        }
        while (at + len < end && at[len] != '\r' && at[len] != '\n') {
            len++;
        }
        is_whole = at + len < end;
        status = take_line(event, log, at, len, is_whole);
        if (!is_whole && status == APR_SUCCESS) {
            return APR_INCOMPLETE;
        }
        at += len;
        at += at < end - 1 && at[0] == '\r' && at[1] == '\n' ? 2 : 1;
    }
    return status != APR_SUCCESS ? status : event->has_data ? APR_INCOMPLETE : APR_SUCCESS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *sizes = fuzz_line(pool, &data, &size);
    gc_membuf_t *is = make_log(pool), *wanted = make_log(pool);

    HOLDS(read_in_pieces(pool, is, sizes, data, size)
          == read_whole(pool, wanted, fuzz_text(pool, data, size), size));
    HOLDS(is->length == wanted->length);
    HOLDS(is->length == 0 || memcmp(is->bytes, wanted->bytes, is->length) == 0);
    apr_pool_destroy(pool);
    return 0;
}
