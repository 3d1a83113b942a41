/* SPDX-License-Identifier: Apache-2.0
 * Replies as events, while they are generated and after.
 */
#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "json_shapes.h"
#include "metrics.h"
#include "store/message.h"
#include "stream/replay.h"

/* How soon it is worth asking for a stream again. */
#define RETRY_AFTER "5"

int gc_request_wants_events(const gc_request_t *q)
{
    return gc_request_accepts(q, "text/event-stream");
}

static gc_streams_t *streams_of(const gc_request_t *q)
{
    return __atomic_load_n(&q->service->streams, __ATOMIC_ACQUIRE);
}

int gc_events_reserve(gc_request_t *q)
{
    gc_streams_t *streams = streams_of(q);

    return streams && gc_stream_reserve(streams, q->r);
}

void gc_events_release(gc_request_t *q)
{
    gc_stream_release(streams_of(q), q->r);
}

int gc_events_reserve_thread(gc_request_t *q)
{
    gc_streams_t *streams = streams_of(q);

    return streams && gc_stream_reserve_thread(streams);
}

void gc_events_release_thread(gc_request_t *q)
{
    gc_stream_release_thread(streams_of(q));
}

int gc_events_refuse(gc_request_t *q)
{
    gc_metrics_count(q->service->metrics, GC_COUNT_STREAM_REFUSED);
    apr_table_setn(q->r->headers_out, "Retry-After", RETRY_AFTER);
    return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                           "As many streams are open as there may be. Please try again.");
}

int gc_request_wait(gc_request_t *q, gc_errand_t *errand,
                    void (*answer)(void *baton, request_rec *r), void *baton, int *rv)
{
    gc_streams_t *streams = streams_of(q);

    *rv = ap_discard_request_body(q->r); /* the loop waits for none */
    if (*rv != OK || !streams || !gc_stream_reserve_wait(streams, q->r)) {
        gc_errand_free(errand);
        return 0;
    }
    gc_count_waiting(q);
    *rv = gc_stream_wait(streams, q->r, errand, answer, baton);
    return 1;
}

int gc_events_open(gc_request_t *q, int status, apr_int64_t reply, const gc_event_id_t *from,
                   const char *accepted)
{
    gc_stream_t stream = {.ref = {q->token.user, q->room, reply},
                          .from = *from,
                          .status = status,
                          .accepted = accepted};

    gc_count_stream(q, from->fence != 0);
    return gc_stream_open(streams_of(q), q->r, &stream);
}

/* --- GET …/events -------------------------------------------------------- */

/* What an EventSource sends by itself when it comes back, or a page in the query, which cannot
 * set headers. */
static const char *last_event_id(const gc_request_t *q)
{
    const char *header = apr_table_get(q->r->headers_in, "Last-Event-ID");

    return header ? header : gc_request_parameter(q, "last_event_id");
}

/* All of it at once; nothing, for a client that has it all. */
static int replay(gc_request_t *q, const gc_event_id_t *from, const gc_message_t *message)
{
    gc_reply_ref_t ref = {q->token.user, q->room, q->id};
    gc_membuf_t *out = apr_palloc(q->pool, sizeof(*out));
    const char *description = gc_message_describe(q->pool, &ref, message);
    apr_status_t rv = description ? APR_SUCCESS : APR_ENOMEM;

    if (from->is_end) {
        q->r->status = HTTP_NO_CONTENT; /* by which an EventSource stops coming back */
        apr_table_setn(q->r->headers_out, "Cache-Control", "no-store");
        return OK;
    }
    gc_membuf_init(out, q->pool, (apr_size_t)1024 * 1024 * 1024);
    if (rv == APR_SUCCESS) {
        gc_replay_greet(out, &rv);
        gc_replay_all(out, from, message, description, &rv);
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_metrics_count(q->service->metrics, GC_COUNT_STREAM_REPLAYED);
    gc_stream_head(q->r, HTTP_OK);
    ap_set_content_length(q->r, (apr_off_t)out->length);
    return gc_answer_body(q, out->bytes, out->length);
}

static int follow(gc_request_t *q, const gc_event_id_t *from)
{
    /* The end of a reply that has none yet is an id that was made up: whatever the client has,
     * it is to start over. */
    static const gc_event_id_t something_else = {.offset = 1};
    int rv = ap_discard_request_body(q->r); /* the loop waits for none */

    if (rv != OK) {
        return rv;
    }
    if (q->r->header_only) {
        gc_stream_head(q->r, HTTP_OK);
        return OK;
    }
    if (!gc_events_reserve(q)) {
        return gc_events_refuse(q);
    }
    rv = gc_events_open(q, HTTP_OK, q->id, from->is_end ? &something_else : from, NULL);
    if (rv == SUSPENDED) {
        apr_pool_destroy(q->pool); /* see gc_dispatch */
    }
    return rv;
}

int gc_handle_message_events(gc_request_t *q)
{
    gc_event_id_t from;
    gc_message_t message;
    apr_status_t rv;

    if (gc_event_id_parse(last_event_id(q), &from) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST,
                               "Last-Event-ID must be the id of an event that came before.");
    }
    rv = gc_message_get(q->service->db, q->pool, &q->token.user, &q->room, q->id, &message);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    if (!message.parent) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "This message is no reply.");
    }
    apr_table_setn(q->r->notes, "gemclone-reply",
                   apr_psprintf(q->r->pool, "%" APR_INT64_T_FMT, q->id));
    return gc_message_has_ended(&message) ? replay(q, &from, &message) : follow(q, &from);
}
