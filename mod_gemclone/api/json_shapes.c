/* SPDX-License-Identifier: Apache-2.0
 * Accounts, chatrooms and messages as clients see them.
 */
#include "json_shapes.h"

#include <string.h>

#include "core/json.h"
#include "core/rfc3339.h"

json_t *gc_user_json(apr_pool_t *pool, const gc_user_t *user)
{
    return json_pack("{s:s, s:s?, s:s, s:s, s:s}", "id", gc_uuid_text(pool, &user->id), "name",
                     user->name, "mobile_number", user->mobile_number, "tier", user->tier,
                     "created_at", gc_rfc3339(pool, user->created));
}

json_t *gc_usage_count_json(const gc_usage_count_t *count)
{
    return json_pack("{s:I, s:I, s:I}", "prompts", (json_int_t)count->prompts, "input_tokens",
                     (json_int_t)count->input_tokens, "output_tokens",
                     (json_int_t)count->output_tokens);
}

json_t *gc_usage_json(apr_pool_t *pool, const gc_quota_t *quota, const gc_usage_t *usage)
{
    apr_int64_t limit = strcmp(usage->tier, "pro") == 0 ? quota->pro : quota->basic;
    apr_int64_t left = limit > usage->today.prompts ? limit - usage->today.prompts : 0;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s}", "tier", usage->tier, "today",
        gc_usage_count_json(&usage->today), "month", gc_usage_count_json(&usage->month), "limit",
        limit < 0 ? json_null() : json_integer(limit), "remaining",
        limit < 0 ? json_null() : json_integer(left), "resets_at", gc_rfc3339(pool, usage->resets));
}

json_t *gc_subscription_json(apr_pool_t *pool, const gc_billing_status_t *status)
{
    return json_pack("{s:s, s:s?, s:s?, s:b}", "tier", status->tier, "status", status->status,
                     "current_period_end",
                     status->period_end ? gc_rfc3339(pool, status->period_end) : NULL,
                     "cancel_at_period_end", status->cancels);
}

json_t *gc_session_json(apr_pool_t *pool, const gc_session_t *session, const gc_uuid_t *current)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "id", gc_uuid_text(pool, &session->id),
                             "created_at", gc_rfc3339(pool, session->created), "used_at",
                             gc_rfc3339(pool, session->used), "expires_at",
                             gc_rfc3339(pool, session->expires), "client", session->client);

    if (current) {
        json_object_set_new(json, "current", json_boolean(gc_uuid_equal(&session->id, current)));
    }
    return json;
}

json_t *gc_chatroom_json(apr_pool_t *pool, const gc_chatroom_t *room)
{
    return json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "id", gc_uuid_text(pool, &room->id), "title",
                     room->title, "system_prompt", room->system_prompt, "model", room->model,
                     "created_at", gc_rfc3339(pool, room->created));
}

json_t *gc_message_json(apr_pool_t *pool, const gc_message_t *m)
{
    json_t *json = json_pack("{s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)m->id, "sender",
                             m->sender, "content", m->content, "created_at",
                             gc_rfc3339(pool, m->created), "status", m->status);

    if (m->parent) {
        json_object_set_new(json, "prompt_id", json_integer(m->parent));
    }
    if (m->error) {
        json_object_set_new(json, "error", json_string(m->error));
        json_object_set_new(json, "error_detail", gc_json_string_or_null(m->error_detail));
    }
    if (m->superseded) {
        json_object_set_new(json, "superseded", json_true());
    }
    return json;
}

static json_t *count_or_null(apr_int64_t count)
{
    return count >= 0 ? json_integer(count) : json_null();
}

json_t *gc_message_detail(apr_pool_t *pool, const gc_uuid_t *room, const gc_message_t *m)
{
    json_t *json = gc_message_json(pool, m);

    json_object_set_new(json, "chatroom_id", json_string(gc_uuid_text(pool, room)));
    json_object_set_new(json, "tokens", json_integer(m->tokens));
    if (m->parent) {
        json_object_set_new(json, "prompt_tokens", count_or_null(m->prompt_tokens));
        json_object_set_new(json, "cached_tokens", count_or_null(m->cached_tokens));
        json_object_set_new(json, "thought_tokens", count_or_null(m->thought_tokens));
        json_object_set_new(json, "model", gc_json_string_or_null(m->model));
        json_object_set_new(json, "finish_reason", gc_json_string_or_null(m->finish_reason));
        json_object_set_new(
            json, "finished_at",
            gc_json_string_or_null(m->finished ? gc_rfc3339(pool, m->finished) : NULL));
    }
    return json;
}

const char *gc_message_describe(apr_pool_t *pool, const gc_reply_ref_t *ref,
                                const gc_message_t *message)
{
    json_t *json = gc_message_detail(pool, &ref->room, message);
    const char *text = gc_json_text(pool, json, NULL);

    json_decref(json);
    return text;
}
