/* SPDX-License-Identifier: Apache-2.0
 * Sessions: refreshed, listed, ended.
 */
#include "store/session.h"

#include <apr_strings.h>

#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "json_shapes.h"
#include "sign_in.h"

const gc_rule_t gc_rules_refresh[] = {{"refresh_token", GC_RULE_REQUIRED, 1, 512, NULL, NULL},
                                      {NULL, 0, 0, 0, NULL, NULL}};

/* --- Refreshing ------------------------------------------------------------------ */

static int refuse_refresh(gc_request_t *q)
{
    gc_metrics_count(q->service->metrics, GC_COUNT_REFUSED_REFRESH);
    apr_table_setn(q->r->headers_out, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    return gc_answer_error(q, HTTP_UNAUTHORIZED,
                           "The refresh token is not good, or not any more. Please sign in again.");
}

static int end_reused(gc_request_t *q, const gc_refresh_t *shown, int reused)
{
    if (reused) {
        gc_metrics_count(q->service->metrics, GC_COUNT_ENDED_REUSED);
        gc_log(&q->service->log, GEM0109,
               "session %s was ended: its refresh token came a second time",
               gc_uuid_text(q->pool, &shown->session));
    }
    gc_request_note_ended(q, &shown->session);
    return refuse_refresh(q);
}

int gc_handle_refresh(gc_request_t *q)
{
    const gc_config_t *config = q->service->config;
    const gc_hash_t *key = &q->service->refresh_key;
    gc_db_t *db = q->service->db;
    gc_refresh_t shown, next;
    gc_token_t token = {.issued = q->r->request_time,
                        .expires = q->r->request_time + config->token_lifetime};
    gc_session_refresh_t refresh = {.reuse = config->refresh_reuse,
                                    .access_until = token.expires,
                                    .idle = config->session_idle};
    apr_status_t rv;
    int reused;

    if (gc_refresh_parse(gc_request_text(q, "refresh_token"), &shown) != APR_SUCCESS) {
        return refuse_refresh(q);
    }
    gc_refresh_next(key, &shown, &next);
    gc_refresh_hash(&shown, &refresh.hash);
    gc_refresh_hash(&next, &refresh.next);
    refresh.session = token.session = shown.session;
    refresh.is_genuine = gc_refresh_is_genuine(key, &shown);
    rv = gc_session_refresh(db, q->pool, &refresh, &token.user, &token.expires, &reused);
    if (rv == GC_ENOENT) {
        return refuse_refresh(q);
    }
    if (rv == GC_EGONE) {
        return end_reused(q, &shown, reused);
    }
    return rv == APR_SUCCESS ? gc_answer_tokens(q, "Signed in still.", &token, &next)
                             : gc_answer_failure(q, rv);
}

/* --- Listing and ending ------------------------------------------------------------ */

int gc_handle_sessions(gc_request_t *q)
{
    apr_array_header_t *sessions;
    apr_status_t rv = gc_session_list(q->service->db, q->pool, &q->token.user, &sessions);
    json_t *list;
    int i;

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    list = json_array();
    for (i = 0; i < sessions->nelts; i++) {
        json_array_append_new(
            list,
            gc_session_json(q->pool, &APR_ARRAY_IDX(sessions, i, gc_session_t), &q->token.session));
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:o}", "message", "Your sessions.", "sessions", list));
}

static int end(gc_request_t *q, const gc_uuid_t *session, const char *message)
{
    apr_status_t rv = gc_session_end(q->service->db, q->pool, &q->token.user, session);

    if (rv == APR_SUCCESS) {
        gc_metrics_count(q->service->metrics, GC_COUNT_ENDED_ONE);
        gc_request_note_ended(q, session);
    }
    return rv == APR_SUCCESS ? gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", message))
                             : gc_answer_failure(q, rv);
}

int gc_handle_logout(gc_request_t *q)
{
    return end(q, &q->token.session, "Signed out.");
}

int gc_handle_session_end(gc_request_t *q)
{
    return end(q, &q->session, "Session ended.");
}

int gc_handle_sessions_end(gc_request_t *q)
{
    apr_status_t rv = gc_session_end_all(q->service->db, q->pool, &q->token.user);

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_metrics_count(q->service->metrics, GC_COUNT_ENDED_ALL);
    gc_request_note_ended(q, &q->token.session);
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "message", "All sessions ended."));
}
