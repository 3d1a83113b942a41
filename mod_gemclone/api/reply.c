/* SPDX-License-Identifier: Apache-2.0
 * What users do with replies: cancel one, have another one in its place.
 */
#include "store/message.h"

#include <string.h>

#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "reply.h"
#include "sending.h"

static int answer_cancelled(gc_request_t *q, int http_status, const char *message,
                            const char *status)
{
    return gc_answer_json(q, http_status,
                          json_pack("{s:s, s:{s:I, s:s}}", "message", message, "reply", "id",
                                    (json_int_t)q->id, "status", status));
}

static gc_worker_t *worker_of(const gc_request_t *q)
{
    return __atomic_load_n(&q->service->worker, __ATOMIC_ACQUIRE);
}

void gc_reply_poke(const gc_request_t *q)
{
    gc_worker_t *worker = worker_of(q);

    if (worker) {
        gc_worker_poke(worker);
    }
}

/* The reply has ended, and no worker tells of it. */
static void note_end(const gc_service_t *s, const gc_reply_ref_t *ref)
{
    gc_backlog_add(s->backlog, -1);
    if (__atomic_load_n(&s->streams, __ATOMIC_ACQUIRE)) {
        gc_hub_ended(s->hub, ref);
    }
}

void gc_replies_gone(const gc_request_t *q, const apr_array_header_t *owed)
{
    int i;

    for (i = 0; i < owed->nelts; i++) {
        note_end(q->service, &APR_ARRAY_IDX(owed, i, gc_reply_ref_t));
    }
}

void gc_reply_note_cancel(const gc_request_t *q, const gc_reply_ref_t *ref, gc_cancel_e outcome,
                          int next_due)
{
    gc_worker_t *worker = worker_of(q);

    if (outcome == GC_CANCEL_ASKED && worker) {
        gc_worker_cancel(worker, ref->reply);
    }
    if (outcome == GC_CANCEL_ENDED) {
        note_end(q->service, ref);
        if (next_due) {
            gc_reply_poke(q);
        }
    }
}

/* Whoever has the reply stops it, and tells those who read along; one that nobody has has ended by
 * this already. */
int gc_handle_message_cancel(gc_request_t *q)
{
    gc_reply_ref_t ref = {q->token.user, q->room, q->id};
    gc_cancel_e outcome;
    const char *status;
    int next_due;
    apr_status_t rv = gc_reply_cancel(q->service->db, q->pool, &q->token.user, &q->room, q->id,
                                      &outcome, &status, &next_due);

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_reply_note_cancel(q, &ref, outcome, next_due);
    if (outcome == GC_CANCEL_ASKED) {
        return answer_cancelled(q, HTTP_ACCEPTED, "The reply is being stopped.", status);
    }
    return strcmp(status, "cancelled") == 0
               ? answer_cancelled(q, HTTP_OK, "The reply was cancelled.", status)
               : gc_answer_error(q, HTTP_CONFLICT, "The reply has ended already.");
}

int gc_handle_message_regenerate(gc_request_t *q)
{
    gc_key_t key;
    gc_prompt_t prompt = {
        .user = &q->token.user, .room = &q->room, .content = "", .key = &key, .trace = &q->trace};
    gc_sent_t sent;
    json_t *accepted = NULL;
    apr_status_t rv;
    int refused;

    if ((refused = gc_sending_begin(q, &key)) != GC_SENDING_ON) {
        return refused;
    }
    rv = gc_sender_regenerate(q->service->sender, q->pool, &prompt, q->id, &sent);
    if (rv == APR_SUCCESS && (sent.outcome == GC_SENT || sent.outcome == GC_SENT_BEFORE)) {
        accepted =
            json_pack("{s:s, s:{s:I, s:s, s:I, s:s}}", "message", "The reply is generated anew.",
                      "reply", "id", (json_int_t)sent.reply, "status", "pending", "prompt_id",
                      (json_int_t)sent.message, "created_at", gc_rfc3339(q->pool, sent.created));
    }
    return gc_sending_end(q, rv, &sent, accepted);
}
