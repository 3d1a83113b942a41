/* SPDX-License-Identifier: Apache-2.0
 * The admin page: its routes, who may use them, and its overview.
 */
#include "admin.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "config.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "pages.h"
#include "store/admin.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

static gc_handler_t root, status;

/* Of changes that need no more than their address: an object, so that no form can send it. */
static const gc_rule_t nothing[] = {{NULL, 0, 0, 0, NULL, NULL}};

/* clang-format off */
static const gc_route_t routes[] = {
    {"GET",    "/",                         GC_FOR_ADMINS, NULL,                       root,                           "admin"},
    {"GET",    "/assets/{file}",            GC_FOR_ADMINS, NULL,                       gc_handle_asset,                "admin_asset"},
    {"GET",    "/status",                   GC_FOR_ADMINS, NULL,                       status,                         "admin_status"},
    {"GET",    "/jobs",                     GC_FOR_ADMINS, NULL,                       gc_handle_admin_jobs,           "admin_jobs"},
    {"POST",   "/jobs/{room}/{id}/retry",   GC_FOR_ADMINS, nothing,                    gc_handle_admin_job_retry,      "admin_job_retry"},
    {"POST",   "/jobs/{room}/{id}/drop",    GC_FOR_ADMINS, nothing,                    gc_handle_admin_job_drop,       "admin_job_drop"},
    {"GET",    "/users",                    GC_FOR_ADMINS, NULL,                       gc_handle_admin_users,          "admin_users"},
    {"GET",    "/users/{user}",             GC_FOR_ADMINS, NULL,                       gc_handle_admin_user,           "admin_user"},
    {"PATCH",  "/users/{user}",             GC_FOR_ADMINS, gc_rules_admin_user_change, gc_handle_admin_user_change,    "admin_user_change"},
    {"POST",   "/users/{user}/sessions/end", GC_FOR_ADMINS, nothing,                   gc_handle_admin_sessions_end,   "admin_sessions_end"},
    {"DELETE", "/users/{user}/sessions/{session}", GC_FOR_ADMINS, NULL,                gc_handle_admin_session_end,    "admin_session_end"},
    {"GET",    "/webhooks",                 GC_FOR_ADMINS, NULL,                       gc_handle_admin_webhooks,       "admin_webhooks"},
    {"GET",    "/webhooks/{event}",         GC_FOR_ADMINS, NULL,                       gc_handle_admin_webhook,        "admin_webhook"},
    {"POST",   "/webhooks/{event}/replay",  GC_FOR_ADMINS, nothing,                    gc_handle_admin_webhook_replay, "admin_webhook_replay"},

    {NULL, NULL, GC_FOR_ADMINS, NULL, NULL, NULL}};
/* clang-format on */

/* --- Who may ------------------------------------------------------------------- */

int gc_admin_is_same_origin(const request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site"),
               *origin = apr_table_get(r->headers_in, "Origin"),
               *host = apr_table_get(r->headers_in, "Host"),
               *authority = origin ? strstr(origin, "://") : NULL;

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        return 0;
    }
    return !origin || (authority && host && strcasecmp(authority + strlen("://"), host) == 0);
}

/* httpd has let them in; what is left to ask is whether they know what they are doing. */
static int let_in(gc_request_t *q)
{
    return q->r->method_number == M_GET || gc_admin_is_same_origin(q->r)
               ? GC_GO_ON
               : gc_answer_error(q, HTTP_FORBIDDEN, "Another site's page has sent this.");
}

int gc_admin_dispatch(request_rec *r)
{
    const gc_location_t *location = ap_get_module_config(r->per_dir_config, &gemclone_module);
    const char *wrong = location->admin != 1
                            ? "its handler is not set by a plain SetHandler in a <Location>"
                        : !gc_config_is_guarded(r)
                            ? "no Require, other than \"all granted\", counts here in the end"
                        : r->ap_auth_type && strcasecmp(r->ap_auth_type, GC_AUTH_TYPE) == 0
                            ? "AuthType " GC_AUTH_TYPE " lets users in, who are no admins"
                            : NULL;

    if (wrong) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "GEM0802: the admin page is not shown: %s",
                      wrong);
        return HTTP_FORBIDDEN;
    }
    return gc_dispatch_below(r, location->admin_base, routes, let_in);
}

void gc_admin_note(const gc_request_t *q, const char *format, ...)
{
    const char *who = q->r->user ? ap_escape_quotes(q->pool, q->r->user) : "-";
    va_list arguments;

    va_start(arguments, format);
    gc_log(&q->service->log, GEM0801, "%s; by \"%s\" from %s",
           apr_pvsprintf(q->pool, format, arguments), who, q->r->useragent_ip);
    va_end(arguments);
}

/* --- Lists ----------------------------------------------------------------------- */

json_t *gc_admin_time(const gc_request_t *q, apr_time_t time)
{
    return time ? json_string(gc_rfc3339(q->pool, time)) : json_null();
}

apr_status_t gc_admin_list(const gc_request_t *q, const char *const *states, int *which,
                           gc_page_t *page, const char **why)
{
    const char *wanted = gc_request_parameter(q, "state");

    for (*which = 0; wanted && states[*which] && strcmp(states[*which], wanted) != 0; ++*which) {
    }
    if (!states[*which]) {
        *why =
            apr_psprintf(q->pool, "state must be %s, %s or %s.", states[0], states[1], states[2]);
        return GC_EINPUT;
    }
    if (gc_request_page(q, page, why) != APR_SUCCESS) {
        return GC_EINPUT;
    }
    page->limit = page->limit ? page->limit : GC_PAGE_USUAL;
    return APR_SUCCESS;
}

int gc_admin_answer_list(gc_request_t *q, const char *name, json_t *list, const gc_cursor_t *last)
{
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:o, s:s*}", "message", "A list.", name, list,
                                    "next_cursor", last ? gc_cursor_text(q->pool, last) : NULL));
}

/* --- The overview ------------------------------------------------------------------ */

static json_t *workers_json(const gc_request_t *q, const apr_array_header_t *workers)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < workers->nelts; i++) {
        const gc_site_worker_t *w = &APR_ARRAY_IDX(workers, i, gc_site_worker_t);

        json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "worker", w->name, "replies",
                                              (json_int_t)w->replies, "lease_until",
                                              gc_admin_time(q, w->until)));
    }
    return list;
}

static json_t *events_json(const gc_request_t *q, const gc_site_status_t *s)
{
    return q->service->stripe_secrets ? json_pack("{s:I, s:I}", "waiting", (json_int_t)s->events,
                                                  "failing", (json_int_t)s->failing)
                                      : json_null();
}

static int status(gc_request_t *q)
{
    const char *site = q->service->config->site;
    gc_site_status_t s;
    apr_array_header_t *workers;
    apr_status_t rv = gc_admin_status(q->service->db, q->pool, site, &s);

    if (rv == APR_SUCCESS) {
        rv = gc_admin_workers(q->service->db, q->pool, site, &workers);
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return gc_answer_json(
        q, HTTP_OK,
        json_pack("{s:s, s:{s:s, s:s, s:o, s:s, s:{s:I, s:I, s:I, s:I, s:I}, s:o, s:o}}", "message",
                  "What goes on.", "status", "version", GC_VERSION, "site", site, "time",
                  gc_admin_time(q, s.now), "redis", gc_redis_state(q->service->redis, q->pool),
                  "replies", "owed", (json_int_t)s.owed, "generating", (json_int_t)s.generating,
                  "due", (json_int_t)s.due, "oldest_due_seconds",
                  (json_int_t)apr_time_sec(s.oldest), "failed_today", (json_int_t)s.failed,
                  "workers", workers_json(q, workers), "webhooks", events_json(q, &s)));
}

/* One address for people and programs. */
static int root(gc_request_t *q)
{
    apr_table_mergen(q->r->headers_out, "Vary", "Accept");
    return gc_request_accepts(q, "text/html") ? gc_pages_answer_root(q, "admin.html") : status(q);
}
