/* SPDX-License-Identifier: Apache-2.0
 * The core before a handler: route, token, body, rules.
 */
#include <apr_strings.h>
#include <httpd.h>

#include <http_config.h>
#include <http_protocol.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "bearer.h"
#include "cors.h"
#include "metrics.h"
#include "request.h"
#include "ticket.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

/* Each step answers the request itself when it cannot go on; what it returns then goes back to
 * httpd. */
#define GO_ON GC_GO_ON

static int find_route(gc_request_t *q, const gc_route_t *routes, const char *path)
{
    const char *allow;

    q->route = gc_route_find(q, routes, q->r->method, path, &allow);
    if (q->route) {
        apr_table_setn(q->r->notes, "gemclone-route", q->route->name);
        apr_table_setn(q->r->subprocess_env, "GEMCLONE_ROUTE", q->route->name);
        return GO_ON;
    }
    if (!allow) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "There is no such address.");
    }
    apr_table_setn(q->r->headers_out, "Allow", allow);
    if (strcmp(q->r->method, "OPTIONS") == 0) {
        gc_cors_apply_preflight(q->r, allow);
        q->r->status = HTTP_NO_CONTENT;
        return OK;
    }
    return gc_answer_error(q, HTTP_METHOD_NOT_ALLOWED,
                           apr_psprintf(q->pool, "This address takes %s.", allow));
}

static int refuse_token(gc_request_t *q)
{
    apr_table_setn(q->r->headers_out, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    return gc_answer_error(q, HTTP_UNAUTHORIZED, "The access token is not good, or not any more.");
}

static int check_ticket(gc_request_t *q, const char *ticket)
{
    apr_status_t rv = gc_ticket_check(q, ticket);

    if (rv == GC_ENOENT) {
        return gc_answer_error(q, HTTP_UNAUTHORIZED,
                               "The ticket is not good for this reply, or not any more.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_bearer_note_user(q->r, &q->token.user);
    return GO_ON;
}

static int check_token(gc_request_t *q)
{
    const char *header = apr_table_get(q->r->headers_in, "Authorization");
    const char *ticket = gc_request_note(q->r)->ticket;

    if (q->route->access == GC_FOR_ALL) {
        return GO_ON;
    }
    if (q->route->access == GC_FOR_READERS && !header && ticket) {
        return check_ticket(q, ticket);
    }
    switch (gc_bearer_read(q->service, q->pool, header, q->r->request_time, &q->token)) {
    case GC_BEARER_NONE:
        return gc_answer_error(q, HTTP_UNAUTHORIZED, "This address wants an access token.");
    case GC_BEARER_BAD:
        return refuse_token(q);
    default:
        break;
    }
    if (q->token.scope == GC_TOKEN_RESET && q->route->access != GC_FOR_RESETS) {
        return gc_answer_error(q, HTTP_FORBIDDEN, "This token is for changing the password only.");
    }
    gc_bearer_note_user(q->r, &q->token.user);
    return GO_ON;
}

static int too_large(gc_request_t *q)
{
    return gc_answer_error(q, HTTP_REQUEST_ENTITY_TOO_LARGE,
                           apr_psprintf(q->pool,
                                        "The body may have at most %" APR_INT64_T_FMT " bytes.",
                                        q->service->config->max_body));
}

static int is_json(const request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    apr_size_t len = type ? strcspn(type, "; \t") : 0;

    return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

/* A body that is being read. */
typedef struct {
    char *bytes;
    apr_size_t len, size; /* size: one more than may come, to tell too much */
} body_t;

/* Adds a bucket's data, up to the body's size. */
static apr_status_t add_bucket(body_t *body, apr_bucket *bucket)
{
    const char *data;
    apr_size_t len, room = body->size - body->len;
    apr_status_t rv = apr_bucket_read(bucket, &data, &len, APR_BLOCK_READ);

    if (rv == APR_SUCCESS) {
        len = len < room ? len : room;
        memcpy(body->bytes + body->len, data, len);
        body->len += len;
    }
    return rv;
}

/* Reads until the end of the stream, or until the body has its size. */
static apr_status_t read_buckets(request_rec *r, body_t *body)
{
    apr_bucket_brigade *in = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;
    int ended = 0;

    while (rv == APR_SUCCESS && !ended && body->len < body->size) {
        apr_bucket *b;

        rv = ap_get_brigade(r->input_filters, in, AP_MODE_READBYTES, APR_BLOCK_READ,
                            (apr_off_t)(body->size - body->len));
        for (b = APR_BRIGADE_FIRST(in);
             rv == APR_SUCCESS && !ended && b != APR_BRIGADE_SENTINEL(in); b = APR_BUCKET_NEXT(b)) {
            ended = APR_BUCKET_IS_EOS(b);
            rv = APR_BUCKET_IS_METADATA(b) ? APR_SUCCESS : add_bucket(body, b);
        }
        apr_brigade_cleanup(in);
    }
    return rv;
}

/* The only encoding that httpd undoes. What it does not, must not be taken for a body. */
static int is_encoding_known(const request_rec *r)
{
    const char *encoding = apr_table_get(r->headers_in, "Transfer-Encoding");

    return !encoding || strcasecmp(encoding, "chunked") == 0;
}

/* The connection cannot go on: nobody knows where the body ends. */
static int refuse_rest(gc_request_t *q, int status, const char *detail)
{
    q->r->connection->keepalive = AP_CONN_CLOSE;
    return gc_answer_error(q, status, detail);
}

/* The body's announced length, or -1. */
static apr_int64_t announced_length(const gc_request_t *q)
{
    const char *text = apr_table_get(q->r->headers_in, "Content-Length");

    return text ? apr_atoi64(text) : -1;
}

static int read_body(gc_request_t *q, apr_size_t *len)
{
    apr_size_t max = (apr_size_t)q->service->config->max_body;
    apr_int64_t announced = announced_length(q);
    body_t body = {.size = (announced >= 0 ? (apr_size_t)announced : max) + 1};
    apr_status_t rv;

    body.bytes = apr_palloc(q->pool, body.size);
    rv = read_buckets(q->r, &body);
    if (rv == AP_FILTER_ERROR) {
        return rv; /* a filter has answered */
    }
    if (rv != APR_SUCCESS) {
        return refuse_rest(q, ap_map_http_request_error(rv, HTTP_BAD_REQUEST),
                           "The body could not be read to its end.");
    }
    if (body.len > max) {
        return too_large(q);
    }
    body.bytes[body.len < body.size ? body.len : body.size - 1] = '\0';
    q->raw = body.bytes;
    *len = body.len;
    return GO_ON;
}

const gc_rule_t gc_rules_raw[] = {{NULL, 0, 0, 0, NULL, NULL}};

static int check_body(gc_request_t *q)
{
    gc_rule_limits_t limits = {.prompt = q->service->config->max_prompt};
    gc_problem_t problem = {.status = HTTP_UNPROCESSABLE_ENTITY, .detail = GC_BROKEN_RULE};
    const char *why;
    apr_size_t len = 0;
    int rv;

    if (!q->route->rules) {
        return GO_ON;
    }
    if (announced_length(q) > q->service->config->max_body) {
        return too_large(q);
    }
    if (!is_encoding_known(q->r)) {
        return refuse_rest(q, HTTP_BAD_REQUEST, "The only transfer encoding is chunked.");
    }
    if (q->route->rules != gc_rules_raw && !is_json(q->r)) {
        return gc_answer_error(q, HTTP_UNSUPPORTED_MEDIA_TYPE,
                               "The body must be JSON, with Content-Type: application/json.");
    }
    if ((rv = read_body(q, &len)) != GO_ON) {
        return rv;
    }
    q->raw_len = len;
    if (q->route->rules == gc_rules_raw) {
        return GO_ON;
    }
    if (gc_json_parse_within(q->pool, q->raw, len, GC_JSON_BODY_VALUES, &q->body, &why)
        != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST, why);
    }
    if (gc_rule_check(q->pool, q->route->rules, &limits, q->body, &problem) != APR_SUCCESS) {
        return gc_answer_problem(q, &problem);
    }
    return GO_ON;
}

/* A header that is no good counts for none, as the specification has it. */
static void note_trace(gc_request_t *q)
{
    const char *header = q->service->tracing == GC_TRACING_OFF
                             ? NULL
                             : apr_table_get(q->r->headers_in, "traceparent");

    if (!header || gc_trace_parse(&q->trace, header) != APR_SUCCESS) {
        if (q->service->tracing != GC_TRACING_GENERATE) {
            return;
        }
        gc_trace_begin(&q->trace);
    }
    apr_table_setn(q->r->subprocess_env, "GEMCLONE_TRACE", q->trace.id);
}

int gc_dispatch_below(request_rec *r, const char *base, const gc_route_t *routes,
                      int (*let_in)(gc_request_t *q))
{
    gc_request_t *q = apr_pcalloc(r->pool, sizeof(*q));
    const char *path = r->uri + strlen(base);
    int rv;

    q->r = r;
    q->pool = r->pool;
    q->service = gc_service_of(r->server);
    gc_answer_prepare(r);
    if (!q->service) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    note_trace(q);
    rv = find_route(q, routes, *path ? path : "/");
    gc_count_begin(q);
    if (!q->route) {
        return rv;
    }
    if (q->route->access == GC_FOR_READERS) {
        /* A stream of an hour is not to hold what its beginning took. */
        apr_pool_create(&q->pool, r->pool);
    }
    if ((rv = let_in(q)) == GO_ON && (rv = check_body(q)) == GO_ON) {
        rv = q->route->handler(q);
    }
    return rv;
}

int gc_dispatch(request_rec *r)
{
    const gc_location_t *location = ap_get_module_config(r->per_dir_config, &gemclone_module);

    return gc_dispatch_below(r, location->base, gc_routes, check_token);
}
