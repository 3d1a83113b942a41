/* SPDX-License-Identifier: Apache-2.0
 * Pages of other origins.
 */
#include "cors.h"

#include <apr_tables.h>
#include <http_config.h>
#include <string.h>

#include "config.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

/* What a page may send, and what it may read, beside what every page may. Never what it asks for:
 * the lists are what routes read and answers have. */
#define REQUEST_HEADERS                                                                            \
    "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "         \
    "traceparent"
#define ANSWER_HEADERS                                                                             \
    "Content-Disposition, ETag, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate"

/* Seconds that a browser may remember a preflight's answer: Chromium's most. */
#define MAX_AGE "7200"

static const gc_config_t *config_of(const request_rec *r)
{
    return ap_get_module_config(r->server->module_config, &gemclone_module);
}

int gc_cors_is_on(const request_rec *r)
{
    return config_of(r)->cors_origins != NULL && !gc_config_is_admin(r);
}

/* What stands in the configuration for an origin, which may be NULL; or NULL. */
static const char *find_allowed(const apr_array_header_t *origins, const char *origin)
{
    int i;

    for (i = 0; i < origins->nelts; i++) {
        const char *allowed = APR_ARRAY_IDX(origins, i, gc_setting_t).value;

        if (strcmp(allowed, "*") == 0 || (origin && strcmp(allowed, origin) == 0)) {
            return allowed;
        }
    }
    return NULL;
}

void gc_cors_apply(request_rec *r)
{
    const gc_config_t *config = config_of(r);
    const char *allowed;

    if (!gc_cors_is_on(r)) {
        return;
    }
    allowed = find_allowed(config->cors_origins, apr_table_get(r->headers_in, "Origin"));
    if (!allowed || strcmp(allowed, "*") != 0) {
        /* A cache must not give one origin what another one was told, or none. */
        apr_table_setn(r->err_headers_out, "Vary", "Origin");
    }
    if (!allowed) {
        return;
    }
    apr_table_setn(r->err_headers_out, "Access-Control-Allow-Origin", allowed);
    apr_table_setn(r->err_headers_out, "Access-Control-Expose-Headers", ANSWER_HEADERS);
    if (config->cors_credentials) {
        apr_table_setn(r->err_headers_out, "Access-Control-Allow-Credentials", "true");
    }
}

void gc_cors_apply_preflight(request_rec *r, const char *methods)
{
    apr_table_t *out = r->err_headers_out;

    if (!gc_cors_is_on(r)) {
        return;
    }
    apr_table_setn(out, "Vary",
                   "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    if (!apr_table_get(out, "Access-Control-Allow-Origin")
        || !apr_table_get(r->headers_in, "Origin")
        || !apr_table_get(r->headers_in, "Access-Control-Request-Method")) {
        return;
    }
    apr_table_unset(out, "Access-Control-Expose-Headers");
    apr_table_setn(out, "Access-Control-Allow-Methods", methods);
    apr_table_setn(out, "Access-Control-Allow-Headers", REQUEST_HEADERS);
    apr_table_setn(out, "Access-Control-Max-Age", MAX_AGE);
}
