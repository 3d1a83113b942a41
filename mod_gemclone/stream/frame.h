/* SPDX-License-Identifier: Apache-2.0
 * Server-Sent Events as they go out, and the ids that they carry.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 *
 * An event's id says what its reader has by then: "FENCE-OFFSET", so many bytes of
 * the text of the try under that fence; "FENCE-end", all of it and the end.
 * It does not matter how the text was cut into events, or by whom: who comes back
 * with an id gets what is behind it, from any process, live or stored.
 */
#ifndef GC_FRAME_H
#define GC_FRAME_H

#include <apr_time.h>

#include "core/membuf.h"
#include "core/status.h"

typedef struct gc_event_id_t {
    apr_int64_t fence;  /* 0: of no try yet */
    apr_int64_t offset; /* in bytes of UTF-8 */
    int is_end;
} gc_event_id_t;

/* Reads a Last-Event-ID. NULL and "" are the beginning. GC_EINPUT: none of ours. */
GC_MUST_CHECK apr_status_t gc_event_id_parse(const char *text, gc_event_id_t *id);

/* Each of these appends to a buffer; without memory, a part may be missing at its end,
 * which *status then tells. */

/* retry: how long a client is to wait before it comes back. */
void gc_frame_retry(gc_membuf_t *out, apr_interval_time_t delay, apr_status_t *status);

/* A comment, so that nobody on the way takes the stream for dead. */
void gc_frame_heartbeat(gc_membuf_t *out, apr_status_t *status);

/* One event with data, a JSON text on one line. */
void gc_frame_event(gc_membuf_t *out, const gc_event_id_t *id, const char *name, const char *data,
                    apr_size_t len, apr_status_t *status);

/* A delta: {"text": ...}. The text is whole characters of UTF-8. */
void gc_frame_delta(gc_membuf_t *out, const gc_event_id_t *id, const char *text, apr_size_t len,
                    apr_status_t *status);

/* The longest beginning of a text, of at most `most` bytes, that ends with a whole character. */
apr_size_t gc_frame_whole(const char *text, apr_size_t len, apr_size_t most);

#endif
