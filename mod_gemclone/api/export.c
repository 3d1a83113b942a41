/* SPDX-License-Identifier: Apache-2.0
 * A chatroom with all that was ever said in it, older versions of replies too.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "json_shapes.h"
#include "store/chatroom.h"
#include "store/message.h"

/* A browser keeps it as a file, by this name. */
static void name_file(gc_request_t *q, const char *ending)
{
    apr_table_setn(q->r->headers_out, "Content-Disposition",
                   apr_pstrcat(q->pool, "attachment; filename=\"chatroom-",
                               gc_uuid_text(q->pool, &q->room), ending, "\"", NULL));
    apr_table_mergen(q->r->headers_out, "Vary", "Accept");
}

/* Message by message: a long room needs no tree of all of them. */
static int answer_json(gc_request_t *q, const gc_chatroom_t *room,
                       const apr_array_header_t *messages)
{
    gc_json_writer_t *writer = gc_json_writer_create(q->pool);
    json_t *json = gc_json_own(q->pool, gc_chatroom_json(q->pool, room));
    const char *text;
    apr_size_t len;
    int i;

    gc_json_write_raw(writer, "{\"message\":\"Your chatroom.\",\"chatroom\":");
    gc_json_write(writer, json);
    gc_json_write_raw(writer, ",\"messages\":[");
    for (i = 0; i < messages->nelts; i++) {
        json = gc_message_detail(q->pool, &q->room, &APR_ARRAY_IDX(messages, i, gc_message_t));
        gc_json_write_raw(writer, i ? "," : "");
        gc_json_write(writer, json);
        json_decref(json);
    }
    gc_json_write_raw(writer, "]}");
    text = gc_json_written(writer, &len);
    name_file(q, ".json");
    return text ? gc_answer_bytes(q, HTTP_OK, "application/json", text, len)
                : gc_answer_failure(q, APR_ENOMEM);
}

/* What is to be said of a message beside who wrote it and when. */
static const char *remark(const gc_message_t *m)
{
    return m->superseded                         ? ", an earlier version"
           : strcmp(m->status, "done") == 0      ? ""
           : strcmp(m->status, "cancelled") == 0 ? ", cancelled"
           : strcmp(m->status, "failed") == 0    ? ", failed"
                                                 : ", not answered yet";
}

static int answer_markdown(gc_request_t *q, const gc_chatroom_t *room,
                           const apr_array_header_t *messages)
{
    gc_json_writer_t *writer = gc_json_writer_create(q->pool);
    const char *text;
    apr_size_t len;
    int i;

    gc_json_write_raw(writer, apr_pstrcat(q->pool, "# ", room->title, "\n", NULL));
    if (room->system_prompt) {
        gc_json_write_raw(writer,
                          apr_pstrcat(q->pool, "\nInstruction: ", room->system_prompt, "\n", NULL));
    }
    for (i = 0; i < messages->nelts; i++) {
        const gc_message_t *m = &APR_ARRAY_IDX(messages, i, gc_message_t);

        gc_json_write_raw(writer, m->parent ? "\n## Gemini, " : "\n## You, ");
        gc_json_write_raw(writer, gc_rfc3339(q->pool, m->created));
        gc_json_write_raw(writer, remark(m));
        gc_json_write_raw(writer, "\n\n");
        gc_json_write_raw(writer, m->error_detail ? m->error_detail : m->content);
        gc_json_write_raw(writer, "\n");
    }
    text = gc_json_written(writer, &len);
    name_file(q, ".md");
    return text ? gc_answer_bytes(q, HTTP_OK, "text/markdown; charset=UTF-8", text, len)
                : gc_answer_failure(q, APR_ENOMEM);
}

int gc_handle_chatroom_export(gc_request_t *q)
{
    apr_array_header_t *messages;
    gc_chatroom_t room;
    apr_status_t rv = gc_chatroom_get(q->service->db, q->pool, &q->token.user, &q->room, &room);

    if (rv == APR_SUCCESS) {
        rv = gc_message_versions(q->service->db, q->pool, &q->token.user, &q->room, &messages);
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return gc_request_accepts(q, "text/markdown") ? answer_markdown(q, &room, messages)
                                                  : answer_json(q, &room, messages);
}
