/* SPDX-License-Identifier: Apache-2.0
 * Answers that may be too long to be held.
 */
#include "pieces.h"

#include <apr_strings.h>
#include <http_protocol.h>

#include "answer.h"

#define PIECE ((apr_size_t)64 * 1024)

gc_pieces_t *gc_pieces_create(gc_request_t *q, const char *type, const char *file)
{
    gc_pieces_t *p = apr_pcalloc(q->pool, sizeof(*p));

    p->q = q;
    p->type = type;
    p->file = file;
    p->out = gc_json_writer_create(q->pool);
    p->brigade = apr_brigade_create(q->pool, q->r->connection->bucket_alloc);
    return p;
}

static void name_file(const gc_pieces_t *p)
{
    apr_table_setn(p->q->r->headers_out, "Content-Disposition",
                   apr_pstrcat(p->q->pool, "attachment; filename=\"", p->file, "\"", NULL));
}

/* From here on the answer is a 200, whatever comes. */
static apr_status_t begin(gc_pieces_t *p)
{
    int is_head = p->q->r->header_only;

    if (!is_head && !gc_events_reserve_thread(p->q)) {
        p->is_refused = 1;
        return APR_EBUSY;
    }
    p->has_begun = 1;
    name_file(p);
    gc_answer_head(p->q, HTTP_OK, p->type);
    return is_head ? APR_EOF : APR_SUCCESS;
}

/* The client's pace is kept: what the connection cannot take yet is waited for, but for some 64 KiB
 * that httpd copies. */
static apr_status_t pass(gc_pieces_t *p, const char *text, apr_size_t len)
{
    request_rec *r = p->q->r;
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(p->brigade,
                            apr_bucket_transient_create(text, len, p->brigade->bucket_alloc));
    rv = ap_pass_brigade(r->output_filters, p->brigade);
    apr_brigade_cleanup(p->brigade);
    gc_json_writer_clear(p->out);
    return rv == APR_SUCCESS && r->connection->aborted ? APR_ECONNABORTED : rv;
}

apr_status_t gc_pieces_flush(gc_pieces_t *pieces)
{
    apr_size_t len;
    const char *text = gc_json_written(pieces->out, &len);
    apr_status_t rv;

    if (!text) {
        return APR_ENOMEM;
    }
    if (len < PIECE) {
        return APR_SUCCESS;
    }
    rv = pieces->has_begun ? APR_SUCCESS : begin(pieces);
    return rv == APR_SUCCESS ? pass(pieces, text, len) : rv;
}

static int refuse(gc_request_t *q)
{
    apr_table_setn(q->r->headers_out, "Retry-After", "5");
    return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                           "As many long answers are written as there may be. Please try again.");
}

static int answer_whole(gc_pieces_t *p)
{
    apr_size_t len;
    const char *text = gc_json_written(p->out, &len);

    if (!text) {
        return gc_answer_failure(p->q, APR_ENOMEM);
    }
    name_file(p);
    return gc_answer_bytes(p->q, HTTP_OK, p->type, text, len);
}

/* By this bucket, as mod_proxy has it, the last chunk stays out and an HTTP/2 stream is reset. */
static void cut_off(gc_pieces_t *p, apr_status_t why)
{
    request_rec *r = p->q->r;
    apr_bucket_alloc_t *alloc = p->brigade->bucket_alloc;

    if (r->connection->aborted) {
        return; /* by the client */
    }
    gc_log(&p->q->service->log, GEM0502, "route %s: status %d", p->q->route->name, why);
    r->connection->keepalive = AP_CONN_CLOSE;
    APR_BRIGADE_INSERT_TAIL(p->brigade,
                            ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(p->brigade, apr_bucket_eos_create(alloc));
    (void)ap_pass_brigade(r->output_filters, p->brigade);
}

static void end_pieces(gc_pieces_t *p, apr_status_t rv)
{
    apr_size_t len;
    const char *text = gc_json_written(p->out, &len);

    if (rv == APR_SUCCESS) {
        rv = text ? pass(p, text, len) : APR_ENOMEM;
    }
    if (rv != APR_SUCCESS) {
        cut_off(p, rv);
    }
    gc_events_release_thread(p->q);
}

int gc_pieces_end(gc_pieces_t *pieces, apr_status_t rv)
{
    if (pieces->is_refused) {
        return refuse(pieces->q);
    }
    if (!pieces->has_begun) {
        return rv == APR_SUCCESS ? answer_whole(pieces) : gc_answer_failure(pieces->q, rv);
    }
    if (!pieces->q->r->header_only) {
        end_pieces(pieces, rv);
    }
    return OK;
}
