/* SPDX-License-Identifier: Apache-2.0
 * The route table, and how a path finds its row.
 */
#include <apr_strings.h>
#include <string.h>

#include "core/unit.h"
#include "handlers.h"
#include "upstream/stripe.h"

/* clang-format off */
const gc_route_t gc_routes[] = {
    {"GET",    "/",                         GC_FOR_ALL,   NULL,                     gc_handle_root,            "root"},
    {"GET",    "/healthz",                  GC_FOR_ALL,   NULL,                     gc_handle_healthz,         "healthz"},
    {"GET",    "/readyz",                   GC_FOR_ALL,   NULL,                     gc_handle_readyz,          "readyz"},
    {"GET",    "/.well-known/jwks.json",    GC_FOR_ALL,   NULL,                     gc_handle_jwks,            "jwks"},
    {"GET",    "/openapi.json",             GC_FOR_ALL,   NULL,                     gc_handle_openapi,         "openapi"},
    {"GET",    "/docs",                     GC_FOR_ALL,   NULL,                     gc_handle_docs,            "docs"},
    {"GET",    "/assets/{file}",            GC_FOR_ALL,   NULL,                     gc_handle_asset,           "asset"},
    {"GET",    "/metrics",                  GC_FOR_ALL,   NULL,                     gc_handle_metrics,         "metrics"},

    {"POST",   "/auth/signup",              GC_FOR_ALL,   gc_rules_signup,          gc_handle_signup,          "auth_signup"},
    {"POST",   "/auth/send-otp",            GC_FOR_ALL,   gc_rules_send_otp,        gc_handle_send_otp,        "auth_send_otp"},
    {"POST",   "/auth/verify-otp",          GC_FOR_ALL,   gc_rules_verify_otp,      gc_handle_verify_otp,      "auth_verify_otp"},
    {"POST",   "/auth/forgot-password",     GC_FOR_ALL,   gc_rules_forgot_password, gc_handle_forgot_password, "auth_forgot_password"},
    {"POST",   "/auth/login",               GC_FOR_ALL,   gc_rules_login,           gc_handle_login,           "auth_login"},
    {"POST",   "/auth/change-password",     GC_FOR_RESETS, gc_rules_change_password, gc_handle_change_password, "auth_change_password"},
    {"POST",   "/auth/refresh",             GC_FOR_ALL,   gc_rules_refresh,         gc_handle_refresh,         "auth_refresh"},
    {"POST",   "/auth/logout",              GC_FOR_USERS, NULL,                     gc_handle_logout,          "auth_logout"},
    {"GET",    "/auth/sessions",            GC_FOR_USERS, NULL,                     gc_handle_sessions,        "auth_sessions"},
    {"DELETE", "/auth/sessions",            GC_FOR_USERS, NULL,                     gc_handle_sessions_end,    "auth_sessions_end"},
    {"DELETE", "/auth/sessions/{session}",  GC_FOR_USERS, NULL,                     gc_handle_session_end,     "auth_session_end"},
    {"POST",   "/auth/stream-ticket",       GC_FOR_USERS, gc_rules_stream_ticket,   gc_handle_stream_ticket,   "auth_stream_ticket"},

    {"GET",    "/user/me",                  GC_FOR_USERS, NULL,                     gc_handle_me,              "user_me"},
    {"PATCH",  "/user/me",                  GC_FOR_USERS, gc_rules_me_change,       gc_handle_me_change,       "user_me_change"},
    {"DELETE", "/user/me",                  GC_FOR_USERS, NULL,                     gc_handle_me_delete,       "user_me_delete"},
    {"GET",    "/user/me/export",           GC_FOR_USERS, NULL,                     gc_handle_me_export,       "user_me_export"},
    {"GET",    "/user/me/usage",            GC_FOR_USERS, NULL,                     gc_handle_me_usage,        "user_me_usage"},

    {"POST",   "/chat/chatroom",            GC_FOR_USERS, gc_rules_chatroom_create, gc_handle_chatroom_create, "chatroom_create"},
    {"GET",    "/chat/chatroom",            GC_FOR_USERS, NULL,                     gc_handle_chatroom_list,   "chatroom_list"},
    {"GET",    "/chat/chatroom/{room}",     GC_FOR_USERS, NULL,                     gc_handle_chatroom_get,    "chatroom_get"},
    {"PATCH",  "/chat/chatroom/{room}",     GC_FOR_USERS, gc_rules_chatroom_change, gc_handle_chatroom_change, "chatroom_change"},
    {"DELETE", "/chat/chatroom/{room}",     GC_FOR_USERS, NULL,                     gc_handle_chatroom_delete, "chatroom_delete"},
    {"GET",    "/chat/chatroom/{room}/export", GC_FOR_USERS, NULL,                  gc_handle_chatroom_export, "chatroom_export"},

    {"POST",   "/message/{room}",           GC_FOR_USERS, gc_rules_message_send,    gc_handle_message_send,    "message_send"},
    {"GET",    "/message/{room}",           GC_FOR_USERS, NULL,                     gc_handle_message_list,    "message_list"},
    {"GET",    "/message/{room}/{id}",      GC_FOR_USERS, NULL,                     gc_handle_message_get,     "message_get"},
    {"GET",    "/message/{room}/{id}/events", GC_FOR_READERS, NULL,                 gc_handle_message_events,  "message_events"},
    {"POST",   "/message/{room}/{id}/cancel", GC_FOR_USERS, NULL,                   gc_handle_message_cancel,  "message_cancel"},
    {"POST",   "/message/{room}/{id}/regenerate", GC_FOR_USERS, NULL,               gc_handle_message_regenerate, "message_regenerate"},

    {"POST",   "/subscribe/pro",            GC_FOR_USERS, NULL,                     gc_handle_subscribe_pro,   "subscribe_pro"},
    {"POST",   "/subscribe/portal",         GC_FOR_USERS, NULL,                     gc_handle_subscribe_portal, "subscribe_portal"},
    {"GET",    "/subscription/status",      GC_FOR_USERS, NULL,                     gc_handle_subscription_status, "subscription_status"},
    {"POST",   "/webhook/stripe",           GC_FOR_ALL,   gc_rules_raw,             gc_handle_stripe_webhook,  "webhook_stripe"},

    /* What sibling services and their clients call the same things. */
    {"POST",   "/chatroom",                 GC_FOR_USERS, gc_rules_chatroom_create, gc_handle_chatroom_create, "chatroom_create"},
    {"GET",    "/chatroom",                 GC_FOR_USERS, NULL,                     gc_handle_chatroom_list,   "chatroom_list"},
    {"GET",    "/chatroom/{room}",          GC_FOR_USERS, NULL,                     gc_handle_chatroom_get,    "chatroom_get"},
    {"PATCH",  "/chatroom/{room}",          GC_FOR_USERS, gc_rules_chatroom_change, gc_handle_chatroom_change, "chatroom_change"},
    {"DELETE", "/chatroom/{room}",          GC_FOR_USERS, NULL,                     gc_handle_chatroom_delete, "chatroom_delete"},
    {"POST",   "/chatroom/{room}/message",  GC_FOR_USERS, gc_rules_message_send,    gc_handle_message_send,    "message_send"},

    {NULL, NULL, GC_FOR_ALL, NULL, NULL, NULL}};
/* clang-format on */

/* Reads a variable's value out of a path. */
static int read_variable(gc_request_t *q, const char *name, const char *value, apr_size_t len)
{
    apr_int64_t number;

    if (strncmp(name, "{room}", 6) == 0) {
        return gc_uuid_parse(&q->room, value, len) == APR_SUCCESS;
    }
    if (strncmp(name, "{file}", 6) == 0) {
        q->file = gc_www_find(value, len);
        return q->file != NULL;
    }
    if (strncmp(name, "{session}", 9) == 0) {
        return gc_uuid_parse(&q->session, value, len) == APR_SUCCESS;
    }
    if (strncmp(name, "{user}", 6) == 0) {
        return gc_uuid_parse(&q->user, value, len) == APR_SUCCESS;
    }
    if (strncmp(name, "{event}", 7) == 0) {
        q->event = apr_pstrmemdup(q->pool, value, len);
        return gc_stripe_is_id(q->event);
    }
    if (len > 16 || gc_unit_integer(apr_pstrmemdup(q->pool, value, len), &number) != APR_SUCCESS
        || number <= 0) {
        return 0;
    }
    q->id = number;
    return 1;
}

/* Segment by segment. One slash at the path's end makes no difference. */
static int matches(gc_request_t *q, const char *pattern, const char *path)
{
    while (*pattern == '/' && *path == '/') {
        apr_size_t wanted = strcspn(++pattern, "/"), got = strcspn(++path, "/");

        if (*pattern == '{') {
            if (!read_variable(q, pattern, path, got)) {
                return 0;
            }
        } else if (wanted != got || memcmp(pattern, path, got) != 0) {
            return 0;
        }
        pattern += wanted;
        path += got;
    }
    return *pattern == '\0' && (*path == '\0' || strcmp(path, "/") == 0);
}

const gc_route_t *gc_route_find(gc_request_t *q, const gc_route_t *routes, const char *method,
                                const char *path, const char **allow)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const gc_route_t *route;

    *allow = NULL;
    for (route = routes; route->method; route++) {
        if (!matches(q, route->pattern, path)) {
            continue;
        }
        if (strcmp(route->method, wanted) == 0) {
            return route;
        }
        *allow = apr_pstrcat(q->pool, *allow ? *allow : "", *allow ? ", " : "", route->method,
                             strcmp(route->method, "GET") == 0 ? ", HEAD" : "", NULL);
    }
    if (*allow) {
        *allow = apr_pstrcat(q->pool, *allow, ", OPTIONS", NULL);
    }
    return NULL;
}
