/* SPDX-License-Identifier: Apache-2.0
 * Streams of events to clients of httpd.
 */
#include "stream.h"

#include <ap_mpm.h>
#include <http_log.h>
#include <http_protocol.h>
#include <string.h>

#include "replay.h"
#include "stream_internal.h"

APLOG_USE_MODULE(gemclone);

/* Requests that may wait for an errand however few streams there may be: in a child without a
 * thread each, on this host with one. */
enum { WAITS = 1000, BLOCKING_WAITS = 16 };

static int is_async(void)
{
    static int known = -1;

    if (known < 0 && ap_mpm_query(AP_MPMQ_IS_ASYNC, &known) != APR_SUCCESS) {
        known = 0;
    }
    return known;
}

void gc_stream_announce(server_rec *server)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server, "GEM0601: streams: MPM %s: %s", ap_show_mpm(),
                 is_async() ? "suspended connections, but a thread each over HTTP/2"
                            : "a thread each, GemcloneBlockingStreams of them");
}

/* A request that another one was redirected to inside httpd, and those of connections that are
 * not handled asynchronously, are finished by code that knows nothing of suspending. */
static int may_suspend(const request_rec *r)
{
    const conn_rec *c = r->connection;

    return is_async() && !c->master && c->cs && !c->clogging_input_filters && !r->main && !r->prev;
}

int gc_stream_reserve_thread(gc_streams_t *streams)
{
    return gc_blocking_enter(streams->shared, GC_PLACE_STREAM, streams->options.most_blocking);
}

void gc_stream_release_thread(gc_streams_t *streams)
{
    gc_blocking_leave(streams->shared, GC_PLACE_STREAM);
}

static int reserve_suspended(gc_streams_t *streams, gc_place_e place, apr_int64_t most)
{
    if (__atomic_add_fetch(&streams->suspended[place], 1, __ATOMIC_RELAXED) > most) {
        __atomic_sub_fetch(&streams->suspended[place], 1, __ATOMIC_RELAXED);
        return 0;
    }
    return 1;
}

int gc_stream_reserve(gc_streams_t *streams, const request_rec *r)
{
    return may_suspend(r) ? reserve_suspended(streams, GC_PLACE_STREAM, streams->options.most)
                          : gc_stream_reserve_thread(streams);
}

int gc_stream_reserve_wait(gc_streams_t *streams, const request_rec *r)
{
    apr_int64_t most = streams->options.most, most_blocking = streams->options.most_blocking;

    return may_suspend(r)
               ? reserve_suspended(streams, GC_PLACE_WAIT, most > WAITS ? most : WAITS)
               : gc_blocking_enter(streams->shared, GC_PLACE_WAIT,
                                   most_blocking > BLOCKING_WAITS ? most_blocking : BLOCKING_WAITS);
}

void gc_stream_release(gc_streams_t *streams, const request_rec *r)
{
    if (may_suspend(r)) {
        __atomic_sub_fetch(&streams->suspended[GC_PLACE_STREAM], 1, __ATOMIC_RELAXED);
    } else {
        gc_stream_release_thread(streams);
    }
}

void gc_stream_head(request_rec *r, int status)
{
    r->status = status;
    ap_set_content_type(r, "text/event-stream");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store, no-transform");
    apr_table_setn(r->headers_out, "X-Accel-Buffering", "no"); /* nginx passes it on unbuffered */
    /* mod_deflate and mod_brotli would hold events back. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
}

const char *gc_stream_prologue(apr_pool_t *pool, const gc_stream_t *stream, apr_size_t *len)
{
    static const gc_event_id_t nothing_yet = {0};
    gc_membuf_t *out = apr_palloc(pool, sizeof(*out));
    apr_status_t rv = APR_SUCCESS;

    gc_membuf_init(out, pool, (apr_size_t)1024 * 1024 * 1024);
    gc_replay_greet(out, &rv);
    if (stream->accepted) {
        gc_frame_event(out, &nothing_yet, "accepted", stream->accepted, strlen(stream->accepted),
                       &rv);
    }
    *len = out->length;
    return out->bytes;
}

int gc_stream_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream)
{
    gc_stream_head(r, stream->status);
    return may_suspend(r) ? gc_suspended_open(streams, r, stream)
                          : gc_blocking_open(streams, r, stream);
}

int gc_stream_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                   void (*answer)(void *baton, request_rec *r), void *baton)
{
    const gc_answer_later_t later = {answer, baton};

    return may_suspend(r) ? gc_suspended_wait(streams, r, errand, &later)
                          : gc_blocking_wait(streams, r, errand, &later);
}

gc_streams_t *gc_loop_streams_create(apr_pool_t *pool, const gc_streams_options_t *options,
                                     gc_streams_shared_t *shared)
{
    gc_streams_t *streams = apr_pcalloc(pool, sizeof(*streams));

    streams->options = *options;
    streams->shared = shared;
    gc_suspended_init(streams);
    return streams;
}

void gc_loop_streams_close(gc_streams_t *streams)
{
    gc_loop_suspended_close_all(streams);
}

void gc_stream_register(void)
{
    gc_suspended_register();
}
