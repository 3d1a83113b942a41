/* SPDX-License-Identifier: Apache-2.0
 * Pages for people, and the description of the API: files of www/.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "pages.h"

/* What pages load and ask is of their own origin, and no text of theirs is ever run. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static int answer_file(gc_request_t *q, const gc_www_file_t *file)
{
    return gc_answer_bytes(q, HTTP_OK, file->type, (const char *)file->bytes, file->len);
}

static int ends_in_slash(const char *path)
{
    apr_size_t len = strlen(path);

    return len > 0 && path[len - 1] == '/';
}

/* A page's links are relative to its directory, so its address must end as they want it. The
 * reference is relative, too: wherever the API is mapped, it leads nowhere else. */
static int answer_redirect(gc_request_t *q, const char *reference)
{
    const char *args = q->r->args;

    apr_table_setn(q->r->headers_out, "Location",
                   args ? apr_pstrcat(q->pool, reference, "?", args, NULL) : reference);
    return gc_answer_bytes(q, HTTP_PERMANENT_REDIRECT, "text/plain", "", 0);
}

static int answer_page(gc_request_t *q, const char *name)
{
    apr_table_setn(q->r->err_headers_out, "Content-Security-Policy", PAGE_POLICY);
    return answer_file(q, gc_www_find(name, strlen(name)));
}

int gc_pages_answer_root(gc_request_t *q, const char *name)
{
    const char *path = q->r->uri, *last = strrchr(path, '/');

    return ends_in_slash(path)
               ? answer_page(q, name)
               : answer_redirect(
                   q, apr_pstrcat(q->pool, ap_os_escape_path(q->pool, last ? last + 1 : path, 0),
                                  "/", NULL));
}

int gc_handle_docs(gc_request_t *q)
{
    if (!q->service->config->docs) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "There is no such address.");
    }
    return ends_in_slash(q->r->uri) ? answer_redirect(q, "../docs") : answer_page(q, "docs.html");
}

int gc_handle_openapi(gc_request_t *q)
{
    return answer_file(q, gc_www_find("openapi.json", strlen("openapi.json")));
}

/* What pages load; a page among them is data here, without a policy to run anything. */
int gc_handle_asset(gc_request_t *q)
{
    return answer_file(q, q->file);
}
