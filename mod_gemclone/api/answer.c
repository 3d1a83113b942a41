/* SPDX-License-Identifier: Apache-2.0
 * Answers.
 */
#include "answer.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <sodium.h>
#include <string.h>

#include "cors.h"

#define JSON_TYPE "application/json"

/* A browser that is made to take data for a page does nothing for it, and shows it in no frame. */
#define DATA_POLICY "default-src 'none'; frame-ancestors 'none'"

void gc_answer_prepare(request_rec *r)
{
    apr_table_t *out = r->err_headers_out;

    if (!apr_table_get(out, "Content-Security-Policy")) {
        apr_table_setn(out, "Content-Security-Policy", DATA_POLICY);
    }
    apr_table_setn(out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(out, "Referrer-Policy", "no-referrer");
    apr_table_setn(out, "Cross-Origin-Resource-Policy",
                   gc_cors_is_on(r) ? "cross-origin" : "same-origin");
    gc_cors_apply(r);
}

static const char *etag_of(apr_pool_t *pool, const char *bytes, apr_size_t len)
{
    unsigned char hash[16];
    char hex[2 * sizeof(hash) + 1];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)bytes, len, NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    return apr_pstrcat(pool, "\"", hex, "\"", NULL);
}

int gc_answer_body(gc_request_t *q, const char *bytes, apr_size_t len)
{
    request_rec *r = q->r;
    apr_bucket_brigade *out = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    if (len) {
        APR_BRIGADE_INSERT_TAIL(out,
                                apr_bucket_pool_create(bytes, len, r->pool, out->bucket_alloc));
    }
    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_eos_create(out->bucket_alloc));
    /* A client that went away is its own affair. */
    (void)ap_pass_brigade(r->output_filters, out);
    return OK;
}

void gc_answer_head(gc_request_t *q, int status, const char *type)
{
    request_rec *r = q->r;

    r->status = status;
    ap_set_content_type(r, type);
    apr_table_setn(r->headers_out, "Cache-Control",
                   r->method_number == M_GET ? "private, no-cache" : "no-store");
}

int gc_answer_bytes(gc_request_t *q, int status, const char *type, const char *bytes,
                    apr_size_t len)
{
    request_rec *r = q->r;

    gc_answer_head(q, status, type);
    if (r->method_number == M_GET && status == HTTP_OK) {
        int rv;

        apr_table_setn(r->headers_out, "ETag", etag_of(r->pool, bytes, len));
        if ((rv = ap_meets_conditions(r)) != OK) {
            return rv;
        }
    }
    ap_set_content_length(r, (apr_off_t)len);
    return gc_answer_body(q, bytes, len);
}

int gc_answer_json(gc_request_t *q, int status, json_t *body)
{
    apr_size_t len = 0;
    const char *text = NULL;

    if (body) {
        text = gc_json_text(q->pool, body, &len);
        json_decref(body);
    }
    return text ? gc_answer_bytes(q, status, JSON_TYPE, text, len)
                : gc_answer_failure(q, APR_ENOMEM);
}

int gc_answer_problem(gc_request_t *q, const gc_problem_t *problem)
{
    apr_size_t len;
    const char *text = gc_problem_text(q->pool, problem, &len);

    if (problem->status == HTTP_UNAUTHORIZED
        && !apr_table_get(q->r->headers_out, "WWW-Authenticate")) {
        apr_table_setn(q->r->headers_out, "WWW-Authenticate", "Bearer");
    }
    return text ? gc_answer_bytes(q, problem->status, GC_PROBLEM_TYPE, text, len)
                : HTTP_INTERNAL_SERVER_ERROR;
}

int gc_answer_error(gc_request_t *q, int status, const char *detail)
{
    gc_problem_t problem = {.status = status, .detail = detail};

    return gc_answer_problem(q, &problem);
}

int gc_answer_broken_rule(gc_request_t *q, const char *pointer, const char *detail)
{
    gc_problem_t problem = {.status = HTTP_UNPROCESSABLE_ENTITY, .detail = GC_BROKEN_RULE};

    gc_problem_field_add(q->pool, &problem, pointer, detail);
    return gc_answer_problem(q, &problem);
}

int gc_answer_bad_key(gc_request_t *q)
{
    return gc_answer_error(q, HTTP_BAD_REQUEST,
                           "Idempotency-Key must be 1 to 255 visible ASCII characters.");
}

int gc_answer_not_sold(gc_request_t *q, const char *detail, int retry_after)
{
    const gc_problem_t problem = {
        .status = HTTP_SERVICE_UNAVAILABLE, .type = GC_PROBLEM_NOT_SOLD, .detail = detail};

    apr_table_setn(q->r->headers_out, "Retry-After", apr_psprintf(q->pool, "%d", retry_after));
    return gc_answer_problem(q, &problem);
}

int gc_answer_crowded(gc_request_t *q, int retry_after)
{
    apr_table_setn(q->r->headers_out, "Retry-After", apr_psprintf(q->pool, "%d", retry_after));
    return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                           "As many requests wait as there may be. Please try again.");
}

int gc_answer_failure(gc_request_t *q, apr_status_t rv)
{
    switch (rv) {
    case GC_ENOENT:
        return gc_answer_error(q, HTTP_NOT_FOUND, "There is nothing of yours at this address.");
    case GC_EREUSED:
        return gc_answer_error(q, HTTP_UNPROCESSABLE_ENTITY,
                               "This Idempotency-Key came with another request before.");
    case GC_EGONE:
        return gc_answer_error(q, HTTP_UNAUTHORIZED, "This account does not exist any more.");
    case GC_EUNAVAILABLE:
    case GC_EUNKNOWN:
        apr_table_setn(q->r->headers_out, "Retry-After",
                       apr_psprintf(q->pool, "%d", (int)apr_time_sec(GC_DB_RETRY_AFTER)));
        return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                               "The database cannot be reached. Please try again.");
    case GC_ESCHEMA:
        return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE, "The service is not set up yet.");
    default:
        gc_log(&q->service->log, GEM0501, "route %s: status %d%s%s",
               q->route ? q->route->name : "none", rv, *q->trace.id ? ", trace " : "", q->trace.id);
        return gc_answer_error(q, HTTP_INTERNAL_SERVER_ERROR, "Something went wrong on our side.");
    }
}
