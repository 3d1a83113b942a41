/* SPDX-License-Identifier: Apache-2.0
 * The module record and its hooks.
 */
#include <httpd.h>

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <string.h>

#include "api/admin.h"
#include "api/door.h"
#include "api/error_body.h"
#include "api/metrics.h"
#include "api/request.h"
#include "api/ticket.h"
#include "config.h"
#include "service.h"
#include "server_status.h"
#include "sweeper.h"

/* The one symbol that httpd looks for. */
extern module AP_MODULE_DECLARE_DATA gemclone_module __attribute__((visibility("default")));

#define HANDLER "gemclone"
#define METRICS_HANDLER "gemclone-metrics"

static int is_ours(const request_rec *r)
{
    const gc_location_t *location = ap_get_module_config(r->per_dir_config, &gemclone_module);

    return location && (location->engine == 1 || location->admin == 1);
}

/* --- Configuration ------------------------------------------------------- */

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    gc_config_reset(pconf);
    return OK;
}

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    (void)plog;
    (void)ptemp;
    return gc_config_check(pconf, server);
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    apr_status_t rv;

    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the first of two passes */
    }
    rv = gc_services_prepare(pconf, server);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, server,
                     "GEM0002: no memory to share, or no GemcloneOTPLog");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    rv = gc_sweeper_prepare(pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, server, "GEM0002: no help from mod_watchdog");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    gc_stream_announce(server);
    ap_add_version_component(pconf, "mod_gemclone/" GC_VERSION);
    return OK;
}

/* --- Children ------------------------------------------------------------ */

static void child_init(apr_pool_t *pchild, server_rec *server)
{
    gc_services_start(pchild, server);
    gc_sweeper_start(pchild);
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    gc_services_drain(graceful);
}

/* In the parent. */
static void child_status(server_rec *server, pid_t pid, ap_generation_t generation, int slot,
                         mpm_child_status status)
{
    (void)server, (void)generation, (void)slot;
    if (status == MPM_CHILD_EXITED) {
        gc_services_lost(pid);
    }
}

/* --- Requests ------------------------------------------------------------ */

/* Whether there may be one, or another secret. What cannot be told to be another's (the path may be
 * unreadable) is taken for ours. */
static int may_have_ticket(const request_rec *r)
{
    return r->the_request && strchr(r->the_request, '?')
           && (!r->parsed_uri.path || gc_config_is_ours(r->server, r->parsed_uri.path));
}

/* Before anybody logs the request line. */
static int hide_ticket(request_rec *r)
{
    if (may_have_ticket(r)) {
        gc_note_t *note = gc_request_note(r);

        gc_ticket_hide(r, &note->ticket, &note->number);
    }
    return DECLINED;
}

/* A request that was refused before the hook above is logged as well. */
static int hide_logged_ticket(request_rec *r)
{
    if (may_have_ticket(r)) {
        gc_ticket_hide(r, NULL, NULL);
    }
    return DECLINED;
}

/* A path that climbs out of the root is the client's fault: httpd would answer the
 * same, but log an error. Before it knows the location, so by the mappings. */
static int refuse_climbing(request_rec *r)
{
    const char *path = r->parsed_uri.path;

    if (!path || *path != '/' || (!strstr(path, "..") && !strcasestr(path, "%2e"))
        || !gc_config_is_ours(r->server, path)) {
        return DECLINED;
    }
    return ap_normalize_path(apr_pstrdup(r->pool, path),
                             AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_DECODE_UNRESERVED)
               ? DECLINED
               : HTTP_BAD_REQUEST;
}

/* There is no file behind our addresses: nobody is to look for one. */
static int translate_name(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    r->filename = apr_pstrdup(r->pool, r->uri);
    gc_request_note(r)->is_ours = 1;
    return OK;
}

/* In this hook httpd has taken the location's settings away: translate_name left a note. */
static int map_to_storage(request_rec *r)
{
    const gc_note_t *note = ap_get_module_config(r->request_config, &gemclone_module);

    return note && note->is_ours ? OK : DECLINED;
}

/* Nor is anybody to guess from the end of an address what handles it (mod_mime), or to look for
 * files that are called like it (mod_negotiation). */
static int check_type(request_rec *r)
{
    return is_ours(r) ? OK : DECLINED;
}

static int fixups(request_rec *r)
{
    if (is_ours(r) && !r->handler) {
        r->handler = HANDLER;
    }
    return DECLINED;
}

static int handle(request_rec *r)
{
    if (r->handler && strcmp(r->handler, GC_ADMIN_HANDLER) == 0) {
        return gc_admin_dispatch(r);
    }
    return r->handler && strcmp(r->handler, HANDLER) == 0 && is_ours(r) ? gc_dispatch(r) : DECLINED;
}

static int show_metrics(request_rec *r)
{
    return r->handler && strcmp(r->handler, METRICS_HANDLER) == 0 ? gc_metrics_answer(r) : DECLINED;
}

static int count_request(request_rec *r)
{
    gc_count_end(r);
    return DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    /* The pool of connections must be there before us, and goes after us. */
    static const char *const after_dbd[] = {"mod_dbd.c", NULL};

    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, after_dbd, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(hide_ticket, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(hide_logged_ticket, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_post_read_request(refuse_climbing, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_translate_name(translate_name, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_type_checker(check_type, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(show_metrics, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(count_request, NULL, NULL, APR_HOOK_MIDDLE);
    gc_door_register(pool);
    gc_error_body_register();
    gc_server_status_register();
    gc_stream_register();
}

AP_DECLARE_MODULE(gemclone) = {STANDARD20_MODULE_STUFF, gc_location_create, gc_location_merge,
                               gc_config_create,        gc_config_merge,    gc_directives,
                               register_hooks,          AP_MODULE_FLAG_NONE};
