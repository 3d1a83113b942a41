/* SPDX-License-Identifier: Apache-2.0
 * Accounts as admins see them: what they have, what they use, where they are signed in. Nothing of
 * what they say.
 */
#include <httpd.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "admin.h"
#include "answer.h"
#include "core/phone.h"
#include "handlers.h"
#include "json_shapes.h"
#include "sign_in.h"
#include "store/admin.h"
#include "store/session.h"

static const char *const tiers[] = {"basic", "pro", NULL};

const gc_rule_t gc_rules_admin_user_change[] = {{"tier", GC_RULE_REQUIRED, 1, 0, tiers, NULL},
                                                {NULL, 0, 0, 0, NULL, NULL}};

static int answer_failure(gc_request_t *q, apr_status_t rv)
{
    return rv == GC_ENOENT ? gc_answer_error(q, HTTP_NOT_FOUND, "There is no such user.")
                           : gc_answer_failure(q, rv);
}

static void note(const gc_request_t *q, const char *what)
{
    gc_admin_note(q, "user %s: %s", gc_uuid_text(q->pool, &q->user), what);
}

/* --- Finding --------------------------------------------------------------------- */

/* The number in the query, which was taken out of it before anybody could log it. A + may stand
 * there as it is, unlike in a form. */
static const char *number_of(const gc_request_t *q)
{
    const char *number = gc_request_note(q->r)->number;

    return number ? apr_punescape_url(q->pool, number, NULL, NULL, 0) : NULL;
}

/* By the whole number: whoever knows a part of it has no business here. */
int gc_handle_admin_users(gc_request_t *q)
{
    const char *number = number_of(q), *e164;
    json_t *list;
    gc_user_t user;
    apr_status_t rv;

    if (!number
        || gc_phone_e164(q->pool, number, q->service->config->country_code, &e164) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST,
                               "number must be a whole phone number, as for signing in.");
    }
    rv = gc_user_find(q->service->db, q->pool, e164, &user);
    if (rv != APR_SUCCESS && rv != GC_ENOENT) {
        return gc_answer_failure(q, rv);
    }
    list = json_array();
    if (rv == APR_SUCCESS) {
        json_array_append_new(list, gc_user_json(q->pool, &user));
    }
    return gc_admin_answer_list(q, "users", list, NULL);
}

/* --- One of them ------------------------------------------------------------------ */

/* All that is told of a user. */
typedef struct {
    gc_user_t user;
    gc_user_overview_t overview;
    gc_usage_t usage;
    gc_billing_status_t billing;
    apr_array_header_t *sessions;
} whole_t;

static apr_status_t read_whole(const gc_request_t *q, whole_t *whole)
{
    gc_db_t *db = q->service->db;
    apr_status_t rv = gc_user_get(db, q->pool, &q->user, &whole->user);

    if (rv == APR_SUCCESS) {
        rv = gc_admin_user(db, q->pool, &q->user, &whole->overview);
    }
    if (rv == APR_SUCCESS) {
        rv = gc_user_usage(db, q->pool, &q->user, &whole->usage);
    }
    if (rv == APR_SUCCESS) {
        rv = gc_billing_status(db, q->pool, &q->user, &whole->billing);
    }
    return rv == APR_SUCCESS ? gc_session_list(db, q->pool, &q->user, &whole->sessions) : rv;
}

static json_t *sessions_json(const gc_request_t *q, const apr_array_header_t *sessions)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < sessions->nelts; i++) {
        json_array_append_new(
            list, gc_session_json(q->pool, &APR_ARRAY_IDX(sessions, i, gc_session_t), NULL));
    }
    return list;
}

static json_t *user_json(const gc_request_t *q, const whole_t *whole)
{
    const gc_user_overview_t *o = &whole->overview;
    json_t *json = gc_user_json(q->pool, &whole->user);

    json_object_set_new(json, "set_tier", json_string(o->tier));
    json_object_set_new(json, "has_password", json_boolean(o->has_password));
    json_object_set_new(json, "chatrooms", json_integer(o->rooms));
    json_object_set_new(json, "messages", json_integer(o->messages));
    json_object_set_new(json, "replies_owed", json_integer(o->owed));
    return json;
}

static int answer_whole(gc_request_t *q, const char *message)
{
    whole_t whole;
    apr_status_t rv = read_whole(q, &whole);

    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:o, s:o, s:o, s:o}", "message", message, "user",
                                    user_json(q, &whole), "subscription",
                                    gc_subscription_json(q->pool, &whole.billing), "usage",
                                    gc_usage_json(q->pool, &q->service->quota, &whole.usage),
                                    "sessions", sessions_json(q, whole.sessions)));
}

int gc_handle_admin_user(gc_request_t *q)
{
    return answer_whole(q, "A user.");
}

/* --- Changing ---------------------------------------------------------------------- */

int gc_handle_admin_user_change(gc_request_t *q)
{
    const char *tier = gc_request_text(q, "tier");
    apr_status_t rv = gc_admin_user_tier(q->service->db, q->pool, &q->user, tier);

    if (rv != GC_ENOENT) {
        gc_cache_forget(q->service->cache, q->pool, &q->user);
    }
    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    note(q, apr_pstrcat(q->pool, "tier set to ", tier, NULL));
    return answer_whole(q, "Tier changed.");
}

int gc_handle_admin_sessions_end(gc_request_t *q)
{
    gc_user_t user;
    apr_status_t rv = gc_user_get(q->service->db, q->pool, &q->user, &user);

    if (rv == APR_SUCCESS) {
        rv = gc_session_end_all(q->service->db, q->pool, &q->user);
    }
    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    gc_request_note_ended(q, NULL);
    note(q, "all sessions ended");
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", "All sessions ended."));
}

int gc_handle_admin_session_end(gc_request_t *q)
{
    apr_status_t rv = gc_session_end(q->service->db, q->pool, &q->user, &q->session);

    if (rv != APR_SUCCESS) {
        return rv == GC_ENOENT ? gc_answer_error(q, HTTP_NOT_FOUND, "The user has no such session.")
                               : gc_answer_failure(q, rv);
    }
    gc_request_note_ended(q, &q->session);
    note(q, apr_pstrcat(q->pool, "session ", gc_uuid_text(q->pool, &q->session), " ended", NULL));
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", "Session ended."));
}
