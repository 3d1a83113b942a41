/* SPDX-License-Identifier: Apache-2.0
 * Stream tickets: for browsers, whose EventSource sends no header that a token could stand in.
 */
#include "store/ticket.h"

#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "ticket.h"

#define LIFETIME apr_time_from_sec(60)
#define PARAMETER "ticket="
#define NUMBER "number="

const gc_rule_t gc_rules_stream_ticket[] = {
    {"message_id", GC_RULE_REQUIRED | GC_RULE_ID, 0, 0, NULL, NULL}, {NULL, 0, 0, 0, NULL, NULL}};

int gc_handle_stream_ticket(gc_request_t *q)
{
    apr_int64_t reply = json_integer_value(json_object_get(q->body, "message_id"));
    gc_hash_t hash;
    const char *ticket = gc_code_refresh_new(q->pool, &hash);
    apr_status_t rv =
        gc_ticket_issue(q->service->db, q->pool, &q->token.user, reply, &hash, LIFETIME);

    if (rv == GC_ENOENT) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "There is no such reply of yours.");
    }
    return rv == APR_SUCCESS ? gc_answer_json(
               q, HTTP_OK,
               json_pack("{s:s, s:s, s:I}", "message", "A ticket for one reply.", "ticket", ticket,
                         "expires_in", (json_int_t)apr_time_sec(LIFETIME)))
                             : gc_answer_failure(q, rv);
}

apr_status_t gc_ticket_check(gc_request_t *q, const char *ticket)
{
    gc_hash_t hash;

    gc_code_fingerprint(&hash, ticket, NULL);
    return gc_ticket_take(q->service->db, q->pool, &hash, &q->room, q->id, &q->token.user);
}

/* --- Keeping them out of logs -------------------------------------------- */

/* Parameters that are not to be logged: the ticket, the number that an admin looks for, and what
 * clients put there by mistake, where nobody takes it. */
static const char *const secrets[] = {
    PARAMETER, "access_token=", "refresh_token=", "otp=", "password=", NUMBER, "mobile_number="};

/* The value of a parameter in a text, or NULL. */
static char *find_value(const char *text, const char *parameter)
{
    const char *at = text;

    while (at && (at = strstr(at, parameter))) {
        int begins = at == text || at[-1] == '?' || at[-1] == '&';

        at += strlen(parameter);
        if (begins) {
            return (char *)at;
        }
    }
    return NULL;
}

/* A copy with "-" in the place of every such value. One pass: there may be a thousand of them. */
static char *redact(apr_pool_t *pool, char *text, const char *parameter)
{
    const char *at = text, *value;
    char *copy, *to;

    if (!text || !find_value(text, parameter)) {
        return text;
    }
    to = copy = apr_palloc(pool, 2 * strlen(text) + 1); /* an empty value grows */
    while ((value = find_value(at, parameter))) {
        memcpy(to, at, (apr_size_t)(value - at));
        to += value - at;
        *to++ = '-';
        at = value + strcspn(value, "& ");
    }
    memcpy(to, at, strlen(at) + 1);
    return copy;
}

/* A copy of a parameter's value, or NULL. */
static const char *value_of(request_rec *r, const char *parameter)
{
    const char *value = r->args ? find_value(r->args, parameter) : NULL;

    return value ? apr_pstrmemdup(r->pool, value, strcspn(value, "&")) : NULL;
}

void gc_ticket_hide(request_rec *r, const char **ticket, const char **number)
{
    size_t i;

    if (ticket) {
        *ticket = value_of(r, PARAMETER);
        *number = value_of(r, NUMBER);
    }

    for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        r->args = redact(r->pool, r->args, secrets[i]);
        r->the_request = redact(r->pool, r->the_request, secrets[i]);
        r->unparsed_uri = redact(r->pool, r->unparsed_uri, secrets[i]);
        r->parsed_uri.query = redact(r->pool, r->parsed_uri.query, secrets[i]);
    }
}
