/* SPDX-License-Identifier: Apache-2.0
 * The user's own account.
 */
#include "store/user.h"

#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "json_shapes.h"
#include "reply.h"
#include "sign_in.h"
#include "work/departure.h"

const gc_rule_t gc_rules_me_change[] = {{"name", GC_RULE_NULLABLE, 1, 100, NULL, NULL},
                                        {NULL, 0, 0, 0, NULL, NULL}};

static json_t *account_json(gc_request_t *q, const char *message, const gc_user_t *user)
{
    return json_pack("{s:s, s:o}", "message", message, "user", gc_user_json(q->pool, user));
}

/* What went wrong with the account of a token that is good. */
static int answer_failure(gc_request_t *q, apr_status_t rv)
{
    return gc_answer_failure(q, rv == GC_ENOENT ? GC_EGONE : rv);
}

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
        return answer_failure(q, rv);
    }
    json = gc_json_own(q->pool, account_json(q, "Your account.", &user));
    body = json ? gc_json_text(q->pool, json, &len) : NULL;
    if (!body) {
        return gc_answer_failure(q, APR_ENOMEM);
    }
    gc_cache_put(q->service->cache, q->pool, &slot, body, len);
    return gc_answer_bytes(q, HTTP_OK, "application/json", body, len);
}

int gc_handle_me_change(gc_request_t *q)
{
    gc_user_change_t change = {.set_name = json_object_get(q->body, "name") != NULL,
                               .name = gc_request_text(q, "name")};
    gc_user_t user;
    apr_status_t rv = gc_user_change(q->service->db, q->pool, &q->token.user, &change, &user);

    gc_cache_forget(q->service->cache, q->pool, &q->token.user);
    return rv == APR_SUCCESS
               ? gc_answer_json(q, HTTP_OK, account_json(q, "Account changed.", &user))
               : answer_failure(q, rv);
}

/* --- Usage ------------------------------------------------------------------ */

int gc_handle_me_usage(gc_request_t *q)
{
    gc_usage_t usage;
    apr_status_t rv = gc_user_usage(q->service->db, q->pool, &q->token.user, &usage);

    return rv == APR_SUCCESS
               ? gc_answer_json(q, HTTP_OK,
                                json_pack("{s:s, s:o}", "message", "Your usage.", "usage",
                                          gc_usage_json(q->pool, &q->service->quota, &usage)))
               : answer_failure(q, rv);
}

/* --- Leaving ---------------------------------------------------------------- */

static int answer_gone(gc_request_t *q, apr_status_t rv, const apr_array_header_t *owed)
{
    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    gc_replies_gone(q, owed);
    gc_request_note_ended(q, &q->token.session);
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s}", "message", "The account is gone, and all of it."));
}

/* In the request's pool. */
typedef struct {
    gc_request_t *q;
    gc_departure_t *departure;
} leave_t;

static void answer(void *baton, request_rec *r)
{
    leave_t *leave = baton;

    (void)r;
    if (leave->departure->outcome == GC_EUNAVAILABLE) {
        (void)gc_answer_not_sold(leave->q,
                                 "The subscription could not be ended, so the account stays."
                                 " Please try again.",
                                 5);
    } else {
        (void)answer_gone(leave->q, leave->departure->outcome, leave->departure->owed);
    }
}

static int end_ties(gc_request_t *q, const apr_array_header_t *ties)
{
    gc_billing_t *billing = __atomic_load_n(&q->service->billing, __ATOMIC_ACQUIRE);
    leave_t *leave = apr_palloc(q->pool, sizeof(*leave));
    int rv = OK;

    if (billing) {
        *leave = (leave_t){q, gc_departure_create(billing, &q->token.user, ties)};
        if (gc_request_wait(q, &leave->departure->errand, answer, leave, &rv)) {
            return rv;
        }
    }
    return rv != OK ? rv
                    : gc_answer_not_sold(
                        q, "The subscription cannot be ended, so the account stays.", 5);
}

int gc_handle_me_delete(gc_request_t *q)
{
    apr_array_header_t *ties, *owed = NULL;
    apr_status_t rv = gc_billing_ties(q->service->db, q->pool, &q->token.user, &ties);

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    if (ties->nelts) {
        return end_ties(q, ties);
    }
    rv = gc_user_delete(q->service->db, q->pool, &q->token.user, &owed);
    if (rv == APR_SUCCESS) {
        gc_cache_forget(q->service->cache, q->pool, &q->token.user);
    }
    return answer_gone(q, rv, owed);
}
