/* SPDX-License-Identifier: Apache-2.0
 * Chatrooms.
 */
#include "store/chatroom.h"

#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "json_shapes.h"
#include "reply.h"

static const char *check_model(apr_pool_t *pool, const char *model)
{
    (void)pool;
    return gc_gemini_model_is_valid(model) ? NULL : "It is no name of a model.";
}

#define TITLE(flags)                                                                               \
    {                                                                                              \
        "title", flags, 1, 200, NULL, NULL                                                         \
    }
#define SYSTEM_PROMPT                                                                              \
    {                                                                                              \
        "system_prompt", GC_RULE_NULLABLE | GC_RULE_PROMPT, 1, 0, NULL, NULL                       \
    }
#define MODEL                                                                                      \
    {                                                                                              \
        "model", GC_RULE_NULLABLE, 1, 64, NULL, check_model                                        \
    }

const gc_rule_t gc_rules_chatroom_create[] = {
    TITLE(GC_RULE_REQUIRED), SYSTEM_PROMPT, MODEL, {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_chatroom_change[] = {
    TITLE(0), SYSTEM_PROMPT, MODEL, {NULL, 0, 0, 0, NULL, NULL}};

static int answer_room(gc_request_t *q, int status, const char *message, const gc_chatroom_t *room)
{
    return gc_answer_json(
        q, status,
        json_pack("{s:s, s:o}", "message", message, "chatroom", gc_chatroom_json(q->pool, room)));
}

/* GemcloneGeminiModels, where it is set, names all that a room may ask for. */
static int refuse_model(gc_request_t *q)
{
    return gc_answer_broken_rule(q, "/model", "This model is not offered here.");
}

static int is_offered(const gc_request_t *q, const char *model)
{
    const apr_array_header_t *offered = q->service->config->gemini_models;

    return !model || !offered || gc_config_setting(offered, model);
}

static void forget(gc_request_t *q)
{
    gc_cache_forget(q->service->cache, q->pool, &q->token.user);
}

int gc_handle_chatroom_create(gc_request_t *q)
{
    gc_chatroom_t wanted = {.title = gc_request_text(q, "title"),
                            .system_prompt = gc_request_text(q, "system_prompt"),
                            .model = gc_request_text(q, "model")};
    gc_chatroom_t made;
    gc_key_t key;
    apr_status_t rv;

    if (gc_request_key(q, &key) != APR_SUCCESS) {
        return gc_answer_bad_key(q);
    }
    if (!is_offered(q, wanted.model)) {
        return refuse_model(q);
    }
    rv = gc_chatroom_create(q->service->db, q->pool, &q->token.user, &wanted, &key, &made);
    forget(q);
    return rv == APR_SUCCESS ? answer_room(q, HTTP_CREATED, "Chatroom created.", &made)
                             : gc_answer_failure(q, rv);
}

int gc_handle_chatroom_get(gc_request_t *q)
{
    gc_chatroom_t room;
    apr_status_t rv = gc_chatroom_get(q->service->db, q->pool, &q->token.user, &q->room, &room);

    return rv == APR_SUCCESS ? answer_room(q, HTTP_OK, "Your chatroom.", &room)
                             : gc_answer_failure(q, rv);
}

int gc_handle_chatroom_change(gc_request_t *q)
{
    gc_chatroom_change_t change = {.set_title = json_object_get(q->body, "title") != NULL,
                                   .set_system_prompt =
                                       json_object_get(q->body, "system_prompt") != NULL,
                                   .set_model = json_object_get(q->body, "model") != NULL,
                                   .title = gc_request_text(q, "title"),
                                   .system_prompt = gc_request_text(q, "system_prompt"),
                                   .model = gc_request_text(q, "model")};
    gc_chatroom_t room;
    apr_status_t rv;

    if (!is_offered(q, change.model)) {
        return refuse_model(q);
    }
    rv = gc_chatroom_change(q->service->db, q->pool, &q->token.user, &q->room, &change, &room);
    forget(q);
    return rv == APR_SUCCESS ? answer_room(q, HTTP_OK, "Chatroom changed.", &room)
                             : gc_answer_failure(q, rv);
}

int gc_handle_chatroom_delete(gc_request_t *q)
{
    apr_array_header_t *owed;
    apr_status_t rv = gc_chatroom_delete(q->service->db, q->pool, &q->token.user, &q->room, &owed);

    forget(q);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_replies_gone(q, owed);
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", "Chatroom deleted."));
}

/* --- Lists --------------------------------------------------------------- */

static json_t *list_json(gc_request_t *q, const apr_array_header_t *rooms, int count,
                         const char *next_cursor)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < count; i++) {
        json_array_append_new(list,
                              gc_chatroom_json(q->pool, &APR_ARRAY_IDX(rooms, i, gc_chatroom_t)));
    }
    return json_pack("{s:s, s:o, s:s*}", "message", "Your chatrooms.", "chatrooms", list,
                     "next_cursor", next_cursor);
}

static int answer_page(gc_request_t *q, const gc_page_t *page)
{
    apr_array_header_t *rooms;
    const char *next_cursor = NULL;
    apr_status_t rv = gc_chatroom_list(q->service->db, q->pool, &q->token.user, page->limit + 1,
                                       page->has_cursor ? &page->after : NULL, &rooms);
    int count;

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    count = rooms->nelts;
    if (count > page->limit) {
        const gc_chatroom_t *last = &APR_ARRAY_IDX(rooms, --count - 1, gc_chatroom_t);
        gc_cursor_t cursor = {.number = last->created, .id = last->id};

        next_cursor = gc_cursor_text(q->pool, &cursor);
    }
    return gc_answer_json(q, HTTP_OK, list_json(q, rooms, count, next_cursor));
}

/* The whole list, which is what clients ask for all the time, is cached. */
static int answer_all(gc_request_t *q)
{
    gc_cache_slot_t slot;
    apr_array_header_t *rooms;
    const char *body;
    apr_size_t len;
    json_t *json;
    apr_status_t rv;

    if (gc_cache_get(q->service->cache, q->pool, GC_CACHE_CHATROOMS, &q->token.user, &body, &len,
                     &slot)) {
        return gc_answer_bytes(q, HTTP_OK, "application/json", body, len);
    }
    rv = gc_chatroom_list(q->service->db, q->pool, &q->token.user, 0, NULL, &rooms);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    json = gc_json_own(q->pool, list_json(q, rooms, rooms->nelts, NULL));
    body = json ? gc_json_text(q->pool, json, &len) : NULL;
    if (!body) {
        return gc_answer_failure(q, APR_ENOMEM);
    }
    gc_cache_put(q->service->cache, q->pool, &slot, body, len);
    return gc_answer_bytes(q, HTTP_OK, "application/json", body, len);
}

int gc_handle_chatroom_list(gc_request_t *q)
{
    gc_page_t page;
    const char *why;

    if (gc_request_page(q, &page, &why) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST, why);
    }
    return page.limit ? answer_page(q, &page) : answer_all(q);
}
