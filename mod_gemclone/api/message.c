/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies.
 */
#include "store/message.h"

#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "core/rfc3339.h"
#include "core/weight.h"
#include "handlers.h"

const gc_rule_t gc_rules_message_send[] = {
    {"content", GC_RULE_REQUIRED | GC_RULE_PROMPT, 1, 0, NULL, NULL}, {NULL, 0, 0, 0, NULL, NULL}};

/* --- Sending ------------------------------------------------------------- */

#define DAY 86400

/* Seconds until the quota's day, UTC, is over. */
static int until_reset(const gc_request_t *q)
{
    return (int)(DAY - apr_time_sec(q->r->request_time) % DAY);
}

/* RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10). */
static void tell_limits(gc_request_t *q, const gc_sent_t *sent)
{
    apr_int64_t left = sent->limit - sent->used;

    if (sent->limit < 0) {
        return;
    }
    apr_table_setn(
        q->r->headers_out, "RateLimit-Policy",
        apr_psprintf(q->pool, "\"prompts\";q=%" APR_INT64_T_FMT ";w=%d", sent->limit, DAY));
    apr_table_setn(q->r->headers_out, "RateLimit",
                   apr_psprintf(q->pool, "\"prompts\";r=%" APR_INT64_T_FMT ";t=%d",
                                left > 0 ? left : 0, until_reset(q)));
}

static int answer_quota(gc_request_t *q, const gc_sent_t *sent)
{
    gc_problem_t problem = {.status = HTTP_TOO_MANY_REQUESTS, .type = GC_PROBLEM_QUOTA};

    problem.detail =
        apr_psprintf(q->pool, "Today's %" APR_INT64_T_FMT " prompts are used up.", sent->limit);
    apr_table_setn(q->r->headers_out, "Retry-After", apr_psprintf(q->pool, "%d", until_reset(q)));
    return gc_answer_problem(q, &problem);
}

static int answer_sent(gc_request_t *q, const gc_sent_t *sent)
{
    apr_table_setn(q->r->notes, "gemclone-reply",
                   apr_psprintf(q->pool, "%" APR_INT64_T_FMT, sent->reply));
    return gc_answer_json(q, HTTP_CREATED,
                          json_pack("{s:s, s:{s:I, s:s, s:s, s:s, s:s}, s:{s:I, s:s}}", "message",
                                    "Message sent.", "data", "id", (json_int_t)sent->message,
                                    "chatroom_id", gc_uuid_text(q->pool, &q->room), "sender",
                                    "user", "content", gc_request_text(q, "content"), "created_at",
                                    gc_rfc3339(q->pool, sent->created), "reply", "id",
                                    (json_int_t)sent->reply, "status", "pending"));
}

int gc_handle_message_send(gc_request_t *q)
{
    gc_service_t *s = q->service;
    gc_worker_t *worker = __atomic_load_n(&s->worker, __ATOMIC_ACQUIRE);
    gc_hash_t fingerprint;
    gc_prompt_t prompt = {.user = &q->token.user,
                          .room = &q->room,
                          .content = gc_request_text(q, "content"),
                          .fingerprint = &fingerprint};
    gc_sent_t sent;
    apr_status_t rv;

    if (gc_request_key(q, &prompt.key, &fingerprint) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST,
                               "Idempotency-Key must be 1 to 255 visible ASCII characters.");
    }
    prompt.tokens = gc_weight(prompt.content);
    rv = gc_sender_send(s->sender, q->pool, &prompt, &sent);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    tell_limits(q, &sent);
    switch (sent.outcome) {
    case GC_SENT:
        if (worker) {
            gc_worker_poke(worker);
        }
        return answer_sent(q, &sent);
    case GC_SENT_BEFORE:
        return answer_sent(q, &sent);
    case GC_SENT_QUOTA:
        return answer_quota(q, &sent);
    case GC_SENT_KEY_REUSED:
        return gc_answer_error(q, HTTP_UNPROCESSABLE_ENTITY,
                               "This Idempotency-Key came with another request before.");
    case GC_SENT_NO_ROOM:
    case GC_SENT_BUSY:
        break;
    }
    return gc_answer_failure(q, GC_ENOENT);
}

/* --- Reading ------------------------------------------------------------- */

/* What lists show of a message. */
static json_t *message_json(const gc_request_t *q, const gc_message_t *m)
{
    json_t *json = json_pack("{s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)m->id, "sender",
                             m->sender, "content", m->content, "created_at",
                             gc_rfc3339(q->pool, m->created), "status", m->status);

    if (m->parent) {
        json_object_set_new(json, "prompt_id", json_integer(m->parent));
    }
    if (m->error) {
        json_object_set_new(json, "error", json_string(m->error));
        json_object_set_new(json, "error_detail", gc_json_string_or_null(m->error_detail));
    }
    return json;
}

static json_t *count_or_null(apr_int64_t count)
{
    return count >= 0 ? json_integer(count) : json_null();
}

/* And what one message shows beside. */
static json_t *detail_json(const gc_request_t *q, const gc_message_t *m)
{
    json_t *json = message_json(q, m);

    json_object_set_new(json, "chatroom_id", json_string(gc_uuid_text(q->pool, &q->room)));
    json_object_set_new(json, "tokens", json_integer(m->tokens));
    if (m->parent) {
        json_object_set_new(json, "prompt_tokens", count_or_null(m->prompt_tokens));
        json_object_set_new(json, "cached_tokens", count_or_null(m->cached_tokens));
        json_object_set_new(json, "thought_tokens", count_or_null(m->thought_tokens));
        json_object_set_new(json, "model", gc_json_string_or_null(m->model));
        json_object_set_new(json, "finish_reason", gc_json_string_or_null(m->finish_reason));
        json_object_set_new(
            json, "finished_at",
            gc_json_string_or_null(m->finished ? gc_rfc3339(q->pool, m->finished) : NULL));
    }
    return json;
}

static json_t *list_json(const gc_request_t *q, const apr_array_header_t *messages, int count)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < count; i++) {
        json_array_append_new(list, message_json(q, &APR_ARRAY_IDX(messages, i, gc_message_t)));
    }
    return list;
}

/* The whole list may be long: its text is written message by message. */
static int answer_all(gc_request_t *q, const apr_array_header_t *messages)
{
    gc_json_writer_t *writer = gc_json_writer_create(q->pool);
    const char *text;
    apr_size_t len;
    int i;

    gc_json_write_raw(writer, "[");
    for (i = 0; i < messages->nelts; i++) {
        json_t *json = message_json(q, &APR_ARRAY_IDX(messages, i, gc_message_t));

        gc_json_write_raw(writer, i ? "," : "");
        gc_json_write(writer, json);
        json_decref(json);
    }
    gc_json_write_raw(writer, "]");
    text = gc_json_written(writer, &len);
    return text ? gc_answer_bytes(q, HTTP_OK, "application/json", text, len)
                : gc_answer_failure(q, APR_ENOMEM);
}

static json_t *page_json(const gc_request_t *q, const apr_array_header_t *messages, int limit)
{
    const char *next_cursor = NULL;
    int count = messages->nelts;

    if (count > limit) {
        gc_cursor_t cursor = {.number = APR_ARRAY_IDX(messages, --count - 1, gc_message_t).id,
                              .id = q->room};

        next_cursor = gc_cursor_text(q->pool, &cursor);
    }
    return json_pack("{s:s, s:o, s:s*}", "message", "Messages.", "messages",
                     list_json(q, messages, count), "next_cursor", next_cursor);
}

/* The whole list is a bare array, which is what the first clients know; a page
 * has a cursor beside it. */
int gc_handle_message_list(gc_request_t *q)
{
    apr_array_header_t *messages;
    gc_page_t page;
    const char *why;
    apr_status_t rv;

    if (gc_request_page(q, &page, &why) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST, why);
    }
    rv = gc_message_list(q->service->db, q->pool, &q->token.user, &q->room,
                         page.limit ? page.limit + 1 : 0, page.after.number, &messages);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return page.limit ? gc_answer_json(q, HTTP_OK, page_json(q, messages, page.limit))
                      : answer_all(q, messages);
}

int gc_handle_message_get(gc_request_t *q)
{
    gc_message_t message;
    apr_status_t rv =
        gc_message_get(q->service->db, q->pool, &q->token.user, &q->room, q->id, &message);

    return rv == APR_SUCCESS ? gc_answer_json(
               q, HTTP_OK,
               json_pack("{s:s, s:o}", "message", "Message.", "data", detail_json(q, &message)))
                             : gc_answer_failure(q, rv);
}
