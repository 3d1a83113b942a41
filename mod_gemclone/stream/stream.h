/* SPDX-License-Identifier: Apache-2.0
 * Streams of events to clients of httpd, and answers that are long in coming.
 *
 * Under the event MPM a stream costs no thread: its connection is suspended and the loop
 * writes to it (suspended.c). Under other MPMs, and for HTTP/2, whose streams are not
 * connections, the request's thread writes what the loop hands it (blocking.c); so many
 * threads and no more may do that.
 */
#ifndef GC_STREAM_H
#define GC_STREAM_H

#include <httpd.h>

#include "hub.h"
#include "work/errand.h"

typedef struct gc_streams_options_t {
    gc_hub_t *hub;
    gc_loop_t *loop;
    apr_int64_t most;          /* of this child */
    apr_int64_t most_blocking; /* of this host */
    apr_size_t buffer;
    apr_interval_time_t drain; /* how long streams may go on when a child stops */
} gc_streams_options_t;

typedef struct gc_streams_t gc_streams_t;

/* In memory that the children of a host share: zeroed, of GC_STREAMS_SHARED bytes. */
typedef struct gc_streams_shared_t gc_streams_shared_t;
#define GC_STREAMS_SHARED (sizeof(apr_uint32_t) * 3 * 4096)

/* On the loop. Lives as long as the pool. */
gc_streams_t *gc_loop_streams_create(apr_pool_t *pool, const gc_streams_options_t *options,
                                     gc_streams_shared_t *shared);

/* On the loop, with the request threads gone: closes what is still open, at once. */
void gc_loop_streams_close(gc_streams_t *streams);

typedef struct gc_stream_t {
    gc_reply_ref_t ref;
    gc_event_id_t from;   /* what the client has */
    int status;           /* of the answer */
    const char *accepted; /* the data of an event of that name, sent first; or NULL */
} gc_stream_t;

/* A request asks for a place before it does anything that cannot be undone. 0: there is none
 * now. A place is given up by gc_stream_release, or taken by gc_stream_open. */
GC_MUST_CHECK int gc_stream_reserve(gc_streams_t *streams, const request_rec *r);
void gc_stream_release(gc_streams_t *streams, const request_rec *r);

/* The same for another long answer, which its request's thread writes whatever the MPM. */
GC_MUST_CHECK int gc_stream_reserve_thread(gc_streams_t *streams);
void gc_stream_release_thread(gc_streams_t *streams);

/* Answers with the stream. What it returns is what httpd's handler is to return. */
int gc_stream_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream);

/* A place for a request that waits for an errand: as many as for streams, or some at least, and
 * apart from these. Whoever reads keeps nobody from signing in. 0: there is none now. The place is
 * taken by gc_stream_wait. */
GC_MUST_CHECK int gc_stream_reserve_wait(gc_streams_t *streams, const request_rec *r);

/* Has a request wait for an errand, suspended or on its thread, with a place that was reserved for
 * it; then answer(baton, r) answers it, with at most a few KiB: on the loop, or on the request's
 * thread. It is not called where the client leaves before. The errand is freed in any case. What this
 * returns is what httpd's handler is to return. */
int gc_stream_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                   void (*answer)(void *baton, request_rec *r), void *baton);

/* What answers that are streams have in their heads. */
void gc_stream_head(request_rec *r, int status);

/* At start: logs how streams are served here. */
void gc_stream_announce(server_rec *server);

/* Hooks of httpd's that suspended connections need. */
void gc_stream_register(void);

#endif
