/* SPDX-License-Identifier: Apache-2.0
 * What users take home: a chatroom with all that was ever said in it, older versions of replies
 * too; all chatrooms and whatever else is theirs.
 *
 * Messages are read by pages, each by a statement of its own: while they are written no connection
 * to Postgres is held, and there is never more than one page in memory.
 */
#include <apr_strings.h>
#include <string.h>

#include "core/rfc3339.h"
#include "handlers.h"
#include "json_shapes.h"
#include "pieces.h"

/* Chatrooms are read so many at a time. */
enum { ROOMS = 20 };

/* --- The messages of a chatroom ----------------------------------------------- */

typedef struct {
    gc_pieces_t *pieces;
    apr_pool_t *pool; /* of the page */
    gc_uuid_t room;
    apr_array_header_t *messages; /* gc_message_t */
    apr_int64_t last;             /* the id of the one that was written last */
    int more;                     /* there may be another page */
} page_t;

static page_t *make_page(gc_pieces_t *pieces)
{
    page_t *page = apr_pcalloc(pieces->q->pool, sizeof(*page));

    page->pieces = pieces;
    apr_pool_create(&page->pool, pieces->q->pool);
    return page;
}

static apr_status_t read_page(page_t *page)
{
    const gc_request_t *q = page->pieces->q;

    apr_pool_clear(page->pool);
    return gc_message_versions(q->service->db, page->pool, &q->token.user, &page->room, page->last,
                               &page->messages, &page->more);
}

/* The first page of a room. */
static apr_status_t open_room(page_t *page, const gc_uuid_t *room)
{
    page->room = *room;
    page->last = 0;
    return read_page(page);
}

typedef void write_message_t(page_t *page, const gc_message_t *message);

static apr_status_t write_page(page_t *page, write_message_t *write)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page->messages->nelts; i++) {
        const gc_message_t *message = &APR_ARRAY_IDX(page->messages, i, gc_message_t);

        write(page, message);
        page->last = message->id;
        rv = gc_pieces_flush(page->pieces);
    }
    return rv;
}

/* The page that was read, and all that follow. */
static apr_status_t write_messages(page_t *page, write_message_t *write)
{
    apr_status_t rv = write_page(page, write);

    while (rv == APR_SUCCESS && page->more) {
        rv = read_page(page);
        if (rv == APR_SUCCESS) {
            rv = write_page(page, write);
        }
    }
    return rv;
}

/* --- As JSON -------------------------------------------------------------------- */

/* Takes the reference to value. */
static void write_value(gc_pieces_t *pieces, const char *before, json_t *value)
{
    gc_json_write_raw(pieces->out, before);
    gc_json_write(pieces->out, value);
    json_decref(value);
}

static void write_json_message(page_t *page, const gc_message_t *message)
{
    write_value(page->pieces, page->last ? "," : "",
                gc_message_detail(page->pool, &page->room, message));
}

/* The members of an object; the first page is read. */
static apr_status_t write_json_room(page_t *page, const gc_chatroom_t *room)
{
    apr_status_t rv;

    write_value(page->pieces, "\"chatroom\":", gc_chatroom_json(page->pool, room));
    gc_json_write_raw(page->pieces->out, ",\"messages\":[");
    rv = write_messages(page, write_json_message);
    gc_json_write_raw(page->pieces->out, "]");
    return rv;
}

static apr_status_t write_json(page_t *page, const gc_chatroom_t *room)
{
    apr_status_t rv;

    gc_json_write_raw(page->pieces->out, "{\"message\":\"Your chatroom.\",");
    rv = write_json_room(page, room);
    gc_json_write_raw(page->pieces->out, "}");
    return rv;
}

/* --- As Markdown ---------------------------------------------------------------- */

/* What is to be said of a message beside who wrote it and when. */
static const char *remark(const gc_message_t *m)
{
    return m->superseded                         ? ", an earlier version"
           : strcmp(m->status, "done") == 0      ? ""
           : strcmp(m->status, "cancelled") == 0 ? ", cancelled"
           : strcmp(m->status, "failed") == 0    ? ", failed"
                                                 : ", not answered yet";
}

static void write_markdown_message(page_t *page, const gc_message_t *m)
{
    gc_json_writer_t *out = page->pieces->out;

    gc_json_write_raw(out, m->parent ? "\n## Gemini, " : "\n## You, ");
    gc_json_write_raw(out, gc_rfc3339(page->pool, m->created));
    gc_json_write_raw(out, remark(m));
    gc_json_write_raw(out, "\n\n");
    gc_json_write_raw(out, m->error_detail ? m->error_detail : m->content);
    gc_json_write_raw(out, "\n");
}

static apr_status_t write_markdown(page_t *page, const gc_chatroom_t *room)
{
    gc_json_writer_t *out = page->pieces->out;

    gc_json_write_raw(out, apr_pstrcat(page->pool, "# ", room->title, "\n", NULL));
    if (room->system_prompt) {
        gc_json_write_raw(
            out, apr_pstrcat(page->pool, "\nInstruction: ", room->system_prompt, "\n", NULL));
    }
    return write_messages(page, write_markdown_message);
}

int gc_handle_chatroom_export(gc_request_t *q)
{
    int is_markdown = gc_request_accepts(q, "text/markdown");
    gc_pieces_t *pieces =
        gc_pieces_create(q, is_markdown ? "text/markdown; charset=UTF-8" : "application/json",
                         apr_pstrcat(q->pool, "chatroom-", gc_uuid_text(q->pool, &q->room),
                                     is_markdown ? ".md" : ".json", NULL));
    page_t *page = make_page(pieces);
    gc_chatroom_t room;
    apr_status_t rv = gc_chatroom_get(q->service->db, q->pool, &q->token.user, &q->room, &room);

    if (rv == APR_SUCCESS) {
        rv = open_room(page, &q->room);
    }
    if (rv == APR_SUCCESS) {
        apr_table_mergen(q->r->headers_out, "Vary", "Accept");
        rv = is_markdown ? write_markdown(page, &room) : write_json(page, &room);
    }
    return gc_pieces_end(pieces, rv);
}

/* --- All that is a user's --------------------------------------------------------- */

static apr_status_t write_user(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    gc_user_t user;
    apr_status_t rv = gc_user_get(q->service->db, q->pool, &q->token.user, &user);

    if (rv == APR_SUCCESS) {
        write_value(pieces,
                    "{\"message\":\"All that is yours.\",\"user\":", gc_user_json(q->pool, &user));
    }
    return rv;
}

static apr_status_t write_subscription(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    gc_billing_status_t status;
    apr_status_t rv = gc_billing_status(q->service->db, q->pool, &q->token.user, &status);

    if (rv == APR_SUCCESS) {
        write_value(pieces, ",\"subscription\":", gc_subscription_json(q->pool, &status));
    }
    return rv;
}

/* As many as a user may have. */
static apr_status_t write_sessions(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    apr_array_header_t *sessions;
    apr_status_t rv = gc_session_list(q->service->db, q->pool, &q->token.user, &sessions);
    int i;

    gc_json_write_raw(pieces->out, ",\"sessions\":[");
    for (i = 0; rv == APR_SUCCESS && i < sessions->nelts; i++) {
        write_value(
            pieces, i ? "," : "",
            gc_session_json(q->pool, &APR_ARRAY_IDX(sessions, i, gc_session_t), &q->token.session));
    }
    gc_json_write_raw(pieces->out, "]");
    return rv;
}

/* As many as there were days. */
static apr_status_t write_usage(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    apr_array_header_t *days;
    apr_status_t rv = gc_user_usage_days(q->service->db, q->pool, &q->token.user, &days);
    int i;

    gc_json_write_raw(pieces->out, ",\"usage\":[");
    for (i = 0; rv == APR_SUCCESS && i < days->nelts; i++) {
        const gc_usage_day_t *day = &APR_ARRAY_IDX(days, i, gc_usage_day_t);
        json_t *json = json_pack("{s:s}", "day", day->day);

        json_object_update_new(json, gc_usage_count_json(&day->count));
        write_value(pieces, i ? "," : "", json);
    }
    gc_json_write_raw(pieces->out, "]");
    return rv;
}

/* One that was deleted since the list was read is left out. */
static apr_status_t write_room(page_t *page, const gc_chatroom_t *room, int *count)
{
    gc_pieces_t *pieces = page->pieces;
    apr_status_t rv = open_room(page, &room->id);

    if (rv == APR_SUCCESS) {
        gc_json_write_raw(pieces->out, (*count)++ ? ",{" : "{");
        rv = write_json_room(page, room);
        gc_json_write_raw(pieces->out, "}");
        return rv == APR_SUCCESS ? gc_pieces_flush(pieces) : rv;
    }
    return rv == GC_ENOENT ? APR_SUCCESS : rv;
}

static apr_status_t write_rooms(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    page_t *page = make_page(pieces);
    const gc_cursor_t *after = NULL;
    gc_cursor_t cursor;
    apr_array_header_t *rooms;
    apr_pool_t *pool;
    apr_status_t rv;
    int i, count = 0;

    apr_pool_create(&pool, q->pool);
    gc_json_write_raw(pieces->out, ",\"chatrooms\":[");
    do {
        apr_pool_clear(pool);
        rv = gc_chatroom_list(q->service->db, pool, &q->token.user, ROOMS, after, &rooms);
        for (i = 0; rv == APR_SUCCESS && i < rooms->nelts; i++) {
            const gc_chatroom_t *room = &APR_ARRAY_IDX(rooms, i, gc_chatroom_t);

            rv = write_room(page, room, &count);
            cursor = (gc_cursor_t){.number = room->created, .id = room->id};
            after = &cursor;
        }
    } while (rv == APR_SUCCESS && rooms->nelts == ROOMS);
    gc_json_write_raw(pieces->out, "]}");
    return rv;
}

/* The rooms of an account that goes meanwhile are gone, too: that is not all that there was. */
static apr_status_t check_user(gc_pieces_t *pieces)
{
    gc_request_t *q = pieces->q;
    gc_user_t user;

    return gc_user_get(q->service->db, q->pool, &q->token.user, &user);
}

int gc_handle_me_export(gc_request_t *q)
{
    static apr_status_t (*const parts[])(gc_pieces_t *) = {
        write_user, write_subscription, write_sessions, write_usage, write_rooms, check_user};
    gc_pieces_t *pieces = gc_pieces_create(q, "application/json", "gemclone-export.json");
    apr_status_t rv = APR_SUCCESS;
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && rv == APR_SUCCESS; i++) {
        rv = parts[i](pieces);
    }
    return gc_pieces_end(pieces, rv == GC_ENOENT ? GC_EGONE : rv);
}
