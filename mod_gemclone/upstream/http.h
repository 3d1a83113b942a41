/* SPDX-License-Identifier: Apache-2.0
 * A non-blocking HTTP client on the loop. */
#ifndef GC_UPSTREAM_HTTP_H
#define GC_UPSTREAM_HTTP_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

struct event_base;

/*
 * One client serves any number of calls at once on one libevent base. It is libcurl's multi_socket
 * interface behind APR types; what we do for an event does not grow with the number of calls.
 *
 * Threads: everything here is legal on the thread that runs the base only. Nothing blocks, not even
 * looking up a name (curl's resolver has threads of its own). curl_global_init() is the caller's,
 * once, after the fork.
 *
 * Fixed: certificates and host names are always verified, TLS 1.2 at least, HTTP/2 where TLS offers
 * it (calls share a connection then), http and https only, no redirects, no netrc, no cookies, no
 * compressed answers, no signals.
 */
typedef struct gc_http_t gc_http_t;
typedef struct gc_http_call_t gc_http_call_t;

/*
 * A connection carries one HTTP/1.1 call at a time, or about a hundred of HTTP/2. As many
 * connections as calls may run at once is the right bound for both: idle ones are kept and used
 * again.
 */
typedef struct {
    const char *ca_file;     /* PEM, trusted instead of the system's authorities; NULL: those */
    const char *user_agent;  /* NULL: none is sent */
    long max_connections;    /* with idle ones; calls beyond wait for one. 0: unbounded */
} gc_http_options_t;

typedef enum {
    GC_HTTP_GET,
    GC_HTTP_POST,
    GC_HTTP_DELETE,
} gc_http_method_e;

typedef struct {
    const char *name;
    const char *value; /* visible ASCII, spaces, tabs and UTF-8; no other control characters */
} gc_http_header_t;

/* Any of them may be 0: none. They end the call with the reason of the same name. */
typedef struct {
    apr_interval_time_t connect; /* start to connected: waiting for a free one, DNS, TCP, TLS */
    apr_interval_time_t first;   /* from then until the first byte of the answer's body */
    apr_interval_time_t idle;    /* between two reads of the body */
    apr_interval_time_t total;   /* from the start to the end */
} gc_http_timeouts_t;

typedef struct {
    gc_http_method_e method;
    const char *url;
    const gc_http_header_t *headers;
    apr_size_t header_count;
    const char *body; /* sent with POST only */
    apr_size_t body_length;
    gc_http_timeouts_t timeouts;
    apr_off_t max_bytes; /* of the answer's body; 0: unbounded */
    int is_once; /* it must not arrive twice: never on a connection that was used before, on which
                    libcurl sends it again by itself if that breaks before an answer */
} gc_http_request_t;

typedef enum {
    GC_HTTP_OK,      /* a whole answer, of whatever HTTP status */
    GC_HTTP_RESOLVE, /* no address for the name */
    GC_HTTP_CONNECT, /* no connection, or it broke in the TLS handshake */
    GC_HTTP_TLS,     /* a certificate was refused, or our authorities cannot be read */
    GC_HTTP_TIMEOUT_CONNECT,
    GC_HTTP_TIMEOUT_FIRST,
    GC_HTTP_TIMEOUT_IDLE,
    GC_HTTP_TIMEOUT_TOTAL,
    GC_HTTP_RESET,   /* the connection broke before the answer was whole */
    GC_HTTP_TOO_BIG, /* max_bytes */
    GC_HTTP_ABORTED, /* on_data returned an error */
    GC_HTTP_OTHER,   /* an invalid request, an answer that is no HTTP, no memory */
} gc_http_reason_e;

typedef struct {
    gc_http_reason_e reason;
    apr_status_t status; /* APR_SUCCESS with GC_HTTP_OK only; GC_HTTP_ABORTED: what on_data gave */
    int http_status;     /* 0 when no head came */
    apr_off_t received;  /* bytes of the body */
    const char *text;    /* for a log; never holds a header or the query of the URL */
} gc_http_result_t;

/*
 * What a caller gets to hear, in this order: on_head at most once, on_data any number of times,
 * on_done exactly once unless the call is cancelled. None is called from inside gc_loop_http_start.
 * Arguments are valid during the call only. on_head and on_data may be NULL.
 *
 * Callbacks may start and cancel calls, their own too, and destroy pools that calls were started
 * with; only the client itself may not be destroyed from a callback.
 */
typedef struct {
    void (*on_head)(void *baton, int http_status, const char *content_type /* or NULL */);
    apr_status_t (*on_data)(void *baton, const char *bytes, apr_size_t length);
    void (*on_done)(void *baton, const gc_http_result_t *result);
} gc_http_handler_t;

/* The client lives in a subpool of `pool` and goes with it. `options` is not kept. */
apr_status_t gc_loop_http_create(gc_http_t **http, apr_pool_t *pool, struct event_base *base,
                                 const gc_http_options_t *options)
    __attribute__((warn_unused_result));

/* Cancels all calls and closes all connections. The same happens when the client's pool goes; do
 * it before the base. */
void gc_loop_http_destroy(gc_http_t *http);

/*
 * Starts a call; it never fails: what is wrong with a request, on_done tells. When `pool` is
 * cleared or destroyed, the call is cancelled. `request`, what it points to and `handler` are
 * copied, but for the body: that has to stay as it is until on_done or the cancelling. The handle
 * is valid just as long.
 */
gc_http_call_t *gc_loop_http_start(gc_http_t *http, apr_pool_t *pool,
                                   const gc_http_request_t *request,
                                   const gc_http_handler_t *handler, void *baton);

/* Any thread: a path, which begins with a slash, behind a base that may end with one. */
const char *gc_http_url(apr_pool_t *pool, const char *base, const char *path);

/* A header of the answer, or NULL; from on_head until on_done, inside them too. */
const char *gc_loop_http_header(gc_http_call_t *call, const char *name);

/* No callback of this call comes any more; the handle is void. Inside its own on_done this does
 * nothing. */
void gc_loop_http_cancel(gc_http_call_t *call);

#endif
