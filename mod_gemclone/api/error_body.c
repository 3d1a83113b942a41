/* SPDX-License-Identifier: Apache-2.0
 * Errors that httpd itself answers under our addresses, as problems.
 */
#include "error_body.h"

#include <httpd.h>

#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "answer.h"
#include "config.h"

static const char name[] = "GEMCLONE_ERROR_BODY";

/* Puts the problem in the place of httpd's page. */
static apr_status_t write_problem(ap_filter_t *f, apr_bucket_brigade *page)
{
    request_rec *r = f->r;
    gc_problem_t problem = {.status = r->status};
    apr_size_t len;
    const char *text = gc_problem_text(r->pool, &problem, &len);

    ap_remove_output_filter(f);
    apr_brigade_cleanup(page);
    if (text) {
        ap_set_content_type(r, GC_PROBLEM_TYPE);
        apr_table_unset(r->headers_out, "Content-Language");
        ap_set_content_length(r, (apr_off_t)len);
        APR_BRIGADE_INSERT_TAIL(page,
                                apr_bucket_pool_create(text, len, r->pool, page->bucket_alloc));
    }
    APR_BRIGADE_INSERT_TAIL(page, apr_bucket_eos_create(page->bucket_alloc));
    return ap_pass_brigade(f->next, page);
}

static apr_status_t filter(ap_filter_t *f, apr_bucket_brigade *page)
{
    if (!f->ctx) {
        f->ctx = f; /* once; what httpd writes after this is thrown away */
        return write_problem(f, page);
    }
    return APR_SUCCESS;
}

static void insert(request_rec *r)
{
    /* The error may have come before httpd looked up the location, or could read the path. */
    if (ap_is_HTTP_ERROR(r->status) && gc_config_is_ours(r->server, r->uri)) {
        gc_answer_prepare(r);
        ap_add_output_filter(name, NULL, r, r->connection);
    }
}

void gc_error_body_register(void)
{
    ap_register_output_filter(name, filter, NULL, AP_FTYPE_RESOURCE);
    ap_hook_insert_error_filter(insert, NULL, NULL, APR_HOOK_LAST);
}
