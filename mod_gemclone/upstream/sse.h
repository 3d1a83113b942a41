/* SPDX-License-Identifier: Apache-2.0
 * An incremental reader of event streams. */
#ifndef GC_UPSTREAM_SSE_H
#define GC_UPSTREAM_SSE_H

#include <apr_errno.h>
#include <apr_pools.h>

/*
 * Bytes are pushed in as they come off the network, cut anywhere; each whole event comes out
 * through one callback.
 *
 * Source: WHATWG HTML 9.2.6, as far as a Gemini answer needs it: lines end with CR, LF or CRLF in
 * any mix, a byte order mark at the start is skipped, the values of several `data` fields are
 * joined with LF, a blank line dispatches, an event without `data` is none, comments and all other
 * fields are ignored.
 *
 * Beside that, Gemini reports a failure in the middle of a stream as a bare JSON text without
 * `data:`. So a line that begins with `{` or `[` ends the event stream: from there to the end all
 * is one bare body, of any number of lines.
 *
 * Any thread, but one at a time for one reader. The callback may not destroy the reader's pool.
 */
typedef struct gc_sse_t gc_sse_t;

typedef enum {
    GC_SSE_EVENT, /* the data of an event */
    GC_SSE_BARE,  /* a bare body, at the end of the stream */
} gc_sse_kind_e;

/* `data` is not terminated and valid during the call only. What is not APR_SUCCESS stops the
 * reader and is returned. */
typedef apr_status_t gc_sse_event_cb(void *baton, gc_sse_kind_e kind, const char *data,
                                     apr_size_t length);

/* `max` bounds the bytes of one event's data and of a bare body. The reader is owned by `pool`. */
gc_sse_t *gc_sse_create(apr_pool_t *pool, apr_size_t max, gc_sse_event_cb *on_event, void *baton);

/* APR_ENOSPC (an event is too big), APR_ENOMEM or the callback's status: then feed it no more. */
apr_status_t gc_sse_feed(gc_sse_t *sse, const char *bytes, apr_size_t length)
    __attribute__((warn_unused_result));

/* The stream has ended. A bare body is handed out now; an event or a line left unfinished is
 * dropped: APR_INCOMPLETE. */
apr_status_t gc_sse_end(gc_sse_t *sse) __attribute__((warn_unused_result));

#endif
