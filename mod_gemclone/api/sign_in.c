/* SPDX-License-Identifier: Apache-2.0
 * What all ways to sign in have in common.
 */
#include "sign_in.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "answer.h"
#include "core/phone.h"
#include "handlers.h"

/* A token to set a new password with is good for so long. */
#define RESET_LIFETIME apr_time_from_sec(600)

/* Characters of a User-Agent that are kept. */
enum { CLIENT_MAX = 200 };

/* --- Sessions ---------------------------------------------------------------- */

/* For its owner to tell sessions apart. It is the client's own word, of which nothing that is not
 * printable is kept. */
static const char *client_of(const gc_request_t *q)
{
    const char *agent = apr_table_get(q->r->headers_in, "User-Agent");
    char *client = agent && *agent ? apr_pstrndup(q->pool, agent, CLIENT_MAX) : NULL, *c;

    for (c = client; c && *c; c++) {
        *c = apr_isprint(*c) ? *c : '?';
    }
    return client;
}

static apr_interval_time_t shortest(apr_interval_time_t a, apr_interval_time_t b)
{
    return a < b ? a : b;
}

gc_entry_t *gc_entry_make(gc_request_t *q, gc_token_scope_e scope)
{
    const gc_config_t *config = q->service->config;
    gc_entry_t *entry = apr_pcalloc(q->pool, sizeof(*entry));
    int is_login = scope == GC_TOKEN_ACCESS;
    apr_interval_time_t idle = is_login ? config->session_idle : RESET_LIFETIME,
                        life = is_login ? config->session_lifetime : RESET_LIFETIME,
                        lifetime = is_login ? config->token_lifetime : RESET_LIFETIME;

    entry->token =
        (gc_token_t){.session = gc_uuid_new(),
                     .scope = scope,
                     .issued = q->r->request_time,
                     .expires = q->r->request_time + shortest(lifetime, shortest(idle, life))};
    entry->session = (gc_session_new_t){.id = entry->token.session,
                                        .access_until = entry->token.expires,
                                        .idle = idle,
                                        .life = life,
                                        .client = client_of(q),
                                        .most = (int)config->max_sessions};
    if (is_login) {
        gc_refresh_new(&q->service->refresh_key, &entry->session.id, &entry->refresh);
        gc_refresh_hash(&entry->refresh, &entry->refresh_hash);
        entry->session.refresh = &entry->refresh_hash;
    }
    return entry;
}

int gc_answer_tokens(gc_request_t *q, const char *message, gc_token_t *token,
                     const gc_refresh_t *refresh)
{
    const char *access;
    apr_status_t rv = gc_token_sign(q->pool, &q->service->ring, token, &access);

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:s, s:s, s:I, s:s*}", "message", message,
                                    "access_token", access, "token_type", "bearer", "expires_in",
                                    (json_int_t)apr_time_sec(token->expires - token->issued),
                                    "refresh_token",
                                    refresh ? gc_refresh_text(q->pool, refresh) : NULL));
}

int gc_entry_answer(gc_request_t *q, gc_entry_t *entry, const gc_uuid_t *user)
{
    gc_metrics_count(q->service->metrics,
                     entry->token.scope == GC_TOKEN_RESET   ? GC_COUNT_OPENED_RESET
                     : q->route->handler == gc_handle_login ? GC_COUNT_OPENED_PASSWORD
                                                            : GC_COUNT_OPENED_OTP);
    entry->token.user = *user;
    return gc_answer_tokens(q, "Signed in.", &entry->token,
                            entry->session.refresh ? &entry->refresh : NULL);
}

void gc_request_note_ended(gc_request_t *q, const gc_uuid_t *session)
{
    gc_session_watch_t *watch = __atomic_load_n(&q->service->watch, __ATOMIC_ACQUIRE);

    if (session) {
        gc_ended_add(q->service->ended, session,
                     q->r->request_time + q->service->config->token_lifetime);
    }
    if (watch) {
        gc_session_watch_tell(watch);
    }
}

/* --- Limits ------------------------------------------------------------------ */

const char *gc_request_address(const gc_request_t *q)
{
    return gc_limit_address(q->pool, q->r->useragent_ip);
}

void gc_request_use(const gc_request_t *q, gc_limit_uses_t *uses, gc_limit_e kind,
                    const char *subject)
{
    gc_limits_use(uses, kind, subject, gc_config_limit(q->service->config, kind));
}

static const gc_count_e limited[GC_LIMITS] = {
    [GC_LIMIT_SIGNUP_ADDRESS] = GC_COUNT_LIMITED_SIGNUP_ADDRESS,
    [GC_LIMIT_SIGN_IN_ADDRESS] = GC_COUNT_LIMITED_SIGN_IN_ADDRESS,
    [GC_LIMIT_OTP_TRY] = GC_COUNT_LIMITED_OTP_TRY,
    [GC_LIMIT_PASSWORD] = GC_COUNT_LIMITED_PASSWORD,
    [GC_LIMIT_OTP_ADDRESS] = GC_COUNT_LIMITED_OTP_ADDRESS,
    [GC_LIMIT_OTP_NUMBER] = GC_COUNT_LIMITED_OTP_NUMBER,
    [GC_LIMIT_OTP_COOLDOWN] = GC_COUNT_LIMITED_OTP_COOLDOWN,
    [GC_LIMIT_OTP_BUDGET] = GC_COUNT_LIMITED_OTP_BUDGET,
};

void gc_count_limited(const gc_request_t *q, const gc_refusal_t *refusal)
{
    if (refusal->is_refused) {
        gc_metrics_count(q->service->metrics, limited[refusal->kind]);
    }
}

int gc_answer_limited(gc_request_t *q, const gc_refusal_t *refusal)
{
    const char *name = gc_limit_name(refusal->kind);
    gc_limit_t limit = gc_config_limit(q->service->config, refusal->kind);
    apr_interval_time_t left = refusal->ends - q->r->request_time;
    apr_int64_t wait = left > 0 ? apr_time_sec(left + APR_USEC_PER_SEC - 1) : 1;
    apr_table_t *headers = q->r->headers_out;

    gc_count_limited(q, refusal);
    gc_log(&q->service->log, GEM0110, "route %s: %s is used up", q->route->name, name);
    apr_table_setn(headers, "Retry-After", apr_psprintf(q->pool, "%" APR_INT64_T_FMT, wait));
    if (refusal->kind == GC_LIMIT_OTP_BUDGET) {
        return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE, "No more codes are sent today.");
    }
    apr_table_setn(headers, "RateLimit-Policy",
                   apr_psprintf(q->pool, "\"%s\";q=%" APR_INT64_T_FMT ";w=%" APR_INT64_T_FMT, name,
                                limit.most, apr_time_sec(limit.window)));
    apr_table_setn(headers, "RateLimit",
                   apr_psprintf(q->pool, "\"%s\";r=0;t=%" APR_INT64_T_FMT, name, wait));
    return gc_answer_error(
        q, HTTP_TOO_MANY_REQUESTS,
        apr_psprintf(q->pool, "Too often. Please try again in %" APR_INT64_T_FMT " seconds.",
                     wait));
}

/* --- Numbers ----------------------------------------------------------------- */

const char *gc_check_number(apr_pool_t *pool, const char *number)
{
    const char *e164;

    return gc_phone_e164(pool, number, "+1", &e164) == APR_SUCCESS
               ? NULL
               : "It must be a phone number: + and 7 to 15 digits, or a national number.";
}

apr_status_t gc_request_number(const gc_request_t *q, const char **e164)
{
    return gc_phone_e164(q->pool, gc_request_text(q, "mobile_number"),
                         q->service->config->country_code, e164);
}

int gc_answer_bad_number(gc_request_t *q)
{
    return gc_answer_broken_rule(q, "/mobile_number",
                                 "It is no phone number with this country's code in front.");
}

/* --- Waiting ----------------------------------------------------------------- */

/* In the request's pool. */
typedef struct {
    gc_request_t *q;
    gc_entry_t *entry;
    gc_sign_in_t *sign_in;
    gc_answered_t *answered;
} wait_t;

static void answer(void *baton, request_rec *r)
{
    wait_t *wait = baton;

    (void)r;
    (void)wait->answered(wait->q, wait->entry, wait->sign_in);
}

int gc_request_sign_in(gc_request_t *q, gc_entry_t *entry, gc_sign_in_t *sign_in,
                       gc_answered_t *answered)
{
    wait_t *wait = apr_palloc(q->pool, sizeof(*wait));
    int rv;

    *wait = (wait_t){q, entry, sign_in, answered};
    if (gc_request_wait(q, &sign_in->errand, answer, wait, &rv)) {
        return rv;
    }
    return rv != OK ? rv : gc_answer_crowded(q, GC_SIGN_IN_RETRY);
}
