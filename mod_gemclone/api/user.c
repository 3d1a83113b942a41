/* SPDX-License-Identifier: Apache-2.0
 * The user's own account.
 */
#include "store/user.h"

#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"

int gc_handle_me(gc_request_t *q)
{
    const gc_uuid_t *id = &q->token.user;
    gc_cache_slot_t slot;
    const char *body;
    apr_size_t len;
    gc_user_t user;
    json_t *json;
    apr_status_t rv;

    if (gc_cache_get(q->service->cache, q->pool, GC_CACHE_USER, id, &body, &len, &slot)) {
        return gc_answer_bytes(q, HTTP_OK, "application/json", body, len);
    }
    rv = gc_user_get(q->service->db, q->pool, id, &user);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv == GC_ENOENT ? GC_EGONE : rv);
    }
    json = gc_json_own(q->pool,
                       json_pack("{s:s, s:{s:s, s:s?, s:s, s:s, s:s}}", "message", "Your account.",
                                 "user", "id", gc_uuid_text(q->pool, id), "name", user.name,
                                 "mobile_number", user.mobile_number, "tier", user.tier,
                                 "created_at", gc_rfc3339(q->pool, user.created)));
    body = json ? gc_json_text(q->pool, json, &len) : NULL;
    if (!body) {
        return gc_answer_failure(q, APR_ENOMEM);
    }
    gc_cache_put(q->service->cache, q->pool, &slot, body, len);
    return gc_answer_bytes(q, HTTP_OK, "application/json", body, len);
}
