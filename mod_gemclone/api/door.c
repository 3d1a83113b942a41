/* SPDX-License-Identifier: Apache-2.0
 * AuthType Gemclone, and Require gemclone-tier.
 */
#include "door.h"

#include <apr_strings.h>
#include <httpd.h>

#include <ap_provider.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>
#include <string.h>
#include <strings.h>

#include "bearer.h"
#include "request.h"
#include "store/user.h"

APLOG_USE_MODULE(gemclone);

/* Who has come through a door. */
struct gc_visit_t {
    gc_service_t *service;
    gc_token_t token;
    const char *tier;   /* once it was asked for */
    apr_status_t asked; /* what came of that */
    int is_inside;      /* check_access has its turn */
};

static int is_door(const char *type)
{
    return type && strcasecmp(type, GC_AUTH_TYPE) == 0;
}

/* Under a forward proxy, Authorization is for the origin. */
static int is_forward(const request_rec *r)
{
    return r->proxyreq == PROXYREQ_PROXY;
}

static const char *challenge_header(const request_rec *r)
{
    return is_forward(r) ? "Proxy-Authenticate" : "WWW-Authenticate";
}

/* RFC 6750, 3: error is told to whoever has sent a token. */
static int challenge(request_rec *r, const char *error)
{
    const char *realm = ap_auth_name(r);

    apr_table_setn(r->err_headers_out, challenge_header(r),
                   apr_pstrcat(r->pool, "Bearer", realm ? " realm=\"" : "", realm ? realm : "",
                               realm ? "\"" : "", realm && error ? "," : "",
                               error ? " error=\"" : "", error ? error : "", error ? "\"" : "",
                               NULL));
    return HTTP_UNAUTHORIZED;
}

/* --- Who is it? -------------------------------------------------------------- */

static int check_user(request_rec *r)
{
    gc_service_t *service = gc_service_of(r->server);
    gc_visit_t *visit;

    if (!is_door(ap_auth_type(r))) {
        return DECLINED;
    }
    if (!service) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "GEM0503: AuthType " GC_AUTH_TYPE
                      ", but this host has no Gemclone that runs");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    visit = apr_pcalloc(r->pool, sizeof(*visit));
    visit->service = service;
    switch (gc_bearer_read(
        service, r->pool,
        apr_table_get(r->headers_in, is_forward(r) ? "Proxy-Authorization" : "Authorization"),
        r->request_time, &visit->token)) {
    case GC_BEARER_NONE:
        return challenge(r, NULL);
    case GC_BEARER_BAD:
        return challenge(r, "invalid_token");
    default:
        break;
    }
    if (visit->token.scope == GC_TOKEN_RESET) {
        return HTTP_FORBIDDEN;
    }
    r->ap_auth_type = (char *)GC_AUTH_TYPE;
    gc_bearer_note_user(r, &visit->token.user);
    gc_request_note(r)->visit = visit;
    return OK;
}

/* --- May they come in? ------------------------------------------------------- */

static const char *parse_tiers(cmd_parms *cmd, const char *line, const void **parsed)
{
    unsigned *tiers = apr_pcalloc(cmd->pool, sizeof(*tiers));
    const char *word;

    while (*(word = ap_getword_conf(cmd->pool, &line))) {
        int tier = gc_config_tier(word);

        if (tier < 0) {
            return apr_psprintf(cmd->pool,
                                "Require " GC_REQUIRE_TIER ": " GC_TIERS_ARE ", not '%s'", word);
        }
        *tiers |= 1u << tier;
    }
    *parsed = tiers;
    return *tiers ? NULL : "Require " GC_REQUIRE_TIER ": name one or more; " GC_TIERS_ARE;
}

static apr_status_t ask_tier(request_rec *r, gc_visit_t *visit)
{
    const gc_service_t *s = visit->service;
    gc_cache_slot_t slot;
    const char *word;
    apr_size_t len;
    gc_user_t user;
    apr_status_t rv;

    if (gc_cache_get(s->cache, r->pool, GC_CACHE_TIER, &visit->token.user, &word, &len, &slot)) {
        visit->tier = apr_pstrmemdup(r->pool, word, len);
        return APR_SUCCESS;
    }
    rv = gc_user_get(s->db, r->pool, &visit->token.user, &user);
    if (rv == APR_SUCCESS) {
        visit->tier = user.tier;
        gc_cache_put(s->cache, r->pool, &slot, user.tier, strlen(user.tier));
    }
    return rv;
}

/* Asks once, whatever the number of Require lines. */
static void find_tier(request_rec *r, gc_visit_t *visit)
{
    if (!visit->tier && visit->asked == APR_SUCCESS) {
        visit->asked = ask_tier(r, visit);
        if (visit->tier) {
            apr_table_setn(r->subprocess_env, "GEMCLONE_TIER", visit->tier);
        }
    }
}

static authz_status check_tier(request_rec *r, const char *line, const void *parsed)
{
    const unsigned *tiers = parsed;
    gc_visit_t *visit = gc_request_note(r)->visit;
    int tier;

    (void)line;
    if (!r->user) {
        return AUTHZ_DENIED_NO_USER;
    }
    if (!visit) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "GEM0504: Require " GC_REQUIRE_TIER " needs AuthType " GC_AUTH_TYPE);
        return AUTHZ_DENIED;
    }
    find_tier(r, visit);
    if (visit->asked != APR_SUCCESS) {
        return visit->asked == GC_ENOENT ? AUTHZ_DENIED : AUTHZ_GENERAL_ERROR;
    }
    tier = gc_config_tier(visit->tier);
    return tier >= 0 && (*tiers & 1u << tier) ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

/* Postgres is what was missing, not permission. */
static int refuse_unknown(request_rec *r, const gc_visit_t *visit)
{
    if (visit->asked != GC_EUNAVAILABLE && visit->asked != GC_EUNKNOWN
        && visit->asked != GC_ESCHEMA) {
        gc_log(&visit->service->log, GEM0501, "AuthType " GC_AUTH_TYPE ": status %d", visit->asked);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->err_headers_out, "Retry-After",
                   apr_psprintf(r->pool, "%d", (int)apr_time_sec(GC_DB_RETRY_AFTER)));
    return HTTP_SERVICE_UNAVAILABLE;
}

/* For mod_authz_core whoever is refused should try again as somebody else, and what could not be
 * found out is an error of the server. So it is asked from here, and its answer mended: a good
 * token that does not do gets 403, that of an account which is gone is not good, and without
 * Postgres it is 503. */
static int check_access(request_rec *r)
{
    gc_visit_t *visit = gc_request_note(r)->visit;
    int rv;

    if (!visit || visit->is_inside) {
        return DECLINED;
    }
    visit->is_inside = 1;
    rv = ap_run_auth_checker(r);
    visit->is_inside = 0;
    if (rv == HTTP_INTERNAL_SERVER_ERROR && visit->asked != APR_SUCCESS) {
        return refuse_unknown(r, visit);
    }
    if (rv != HTTP_UNAUTHORIZED && rv != HTTP_FORBIDDEN) {
        return rv;
    }
    apr_table_unset(r->err_headers_out, challenge_header(r));
    return visit->asked == GC_ENOENT ? challenge(r, "invalid_token") : HTTP_FORBIDDEN;
}

/* Other modules that want somebody to sign in. */
static int note_failure(request_rec *r, const char *type)
{
    if (!is_door(type)) {
        return DECLINED;
    }
    challenge(r, NULL);
    return OK;
}

/* After an internal redirect within what the same settings are for, httpd asks nobody again, and
 * has renamed the environment. */
static int hand_on(request_rec *r)
{
    gc_note_t *note = gc_request_note(r);

    if (!note->visit && r->prev && r->user && r->user == r->prev->user) {
        note->visit = gc_request_note(r->prev)->visit;
        if (note->visit) {
            gc_bearer_note_user(r, &note->visit->token.user);
            if (note->visit->tier) {
                apr_table_setn(r->subprocess_env, "GEMCLONE_TIER", note->visit->tier);
            }
        }
    }
    return DECLINED;
}

void gc_door_register(apr_pool_t *pool)
{
    static const authz_provider provider = {check_tier, parse_tiers};

    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, GC_REQUIRE_TIER, AUTHZ_PROVIDER_VERSION,
                              &provider, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(check_user, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(check_access, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_note_auth_failure(note_failure, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_fixups(hand_on, NULL, NULL, APR_HOOK_FIRST);
}
