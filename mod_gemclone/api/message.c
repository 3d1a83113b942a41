/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies.
 */
#include "store/message.h"

#include "answer.h"
#include "core/rfc3339.h"
#include "core/weight.h"
#include "handlers.h"
#include "json_shapes.h"
#include "sending.h"

const gc_rule_t gc_rules_message_send[] = {
    {"content", GC_RULE_REQUIRED | GC_RULE_PROMPT, 1, 0, NULL, NULL}, {NULL, 0, 0, 0, NULL, NULL}};

/* --- Sending ------------------------------------------------------------- */

static json_t *sent_json(const gc_request_t *q, const gc_sent_t *sent)
{
    return json_pack("{s:s, s:{s:I, s:s, s:s, s:s, s:s}, s:{s:I, s:s}}", "message", "Message sent.",
                     "data", "id", (json_int_t)sent->message, "chatroom_id",
                     gc_uuid_text(q->pool, &q->room), "sender", "user", "content",
                     gc_request_text(q, "content"), "created_at",
                     gc_rfc3339(q->pool, sent->created), "reply", "id", (json_int_t)sent->reply,
                     "status", "pending");
}

int gc_handle_message_send(gc_request_t *q)
{
    gc_key_t key;
    gc_prompt_t prompt = {.user = &q->token.user,
                          .room = &q->room,
                          .content = gc_request_text(q, "content"),
                          .key = &key,
                          .trace = &q->trace};
    gc_sent_t sent;
    apr_status_t rv;
    int refused;

    if ((refused = gc_sending_begin(q, &key)) != GC_SENDING_ON) {
        return refused;
    }
    prompt.tokens = gc_weight(prompt.content);
    rv = gc_sender_send(q->service->sender, q->pool, &prompt, &sent);
    return gc_sending_end(q, rv, &sent, rv == APR_SUCCESS ? sent_json(q, &sent) : NULL);
}

/* --- Reading ------------------------------------------------------------- */

static json_t *list_json(const gc_request_t *q, const apr_array_header_t *messages, int count)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < count; i++) {
        json_array_append_new(list,
                              gc_message_json(q->pool, &APR_ARRAY_IDX(messages, i, gc_message_t)));
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
        json_t *json = gc_message_json(q->pool, &APR_ARRAY_IDX(messages, i, gc_message_t));

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

    return rv == APR_SUCCESS
               ? gc_answer_json(q, HTTP_OK,
                                json_pack("{s:s, s:o}", "message", "Message.", "data",
                                          gc_message_detail(q->pool, &q->room, &message)))
               : gc_answer_failure(q, rv);
}
