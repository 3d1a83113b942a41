/* SPDX-License-Identifier: Apache-2.0
 * What several handlers read of a request.
 */
#include "request.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_config.h>
#include <string.h>

#include "core/unit.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

enum { PAGE_MAX = 100, KEY_MAX = 255 };

gc_note_t *gc_request_note(request_rec *r)
{
    gc_note_t *note = ap_get_module_config(r->request_config, &gemclone_module);

    if (!note) {
        note = apr_pcalloc(r->pool, sizeof(*note));
        ap_set_module_config(r->request_config, &gemclone_module, note);
    }
    return note;
}

const char *gc_request_text(const gc_request_t *q, const char *member)
{
    return json_string_value(json_object_get(q->body, member));
}

const char *gc_request_parameter(const gc_request_t *q, const char *name)
{
    const char *p = q->r->args;
    apr_size_t len = strlen(name);

    while (p && *p) {
        apr_size_t all = strcspn(p, "&");

        if (all > len && p[len] == '=' && strncmp(p, name, len) == 0) {
            return apr_pstrmemdup(q->pool, p + len + 1, all - len - 1);
        }
        p += all + (p[all] == '&');
    }
    return NULL;
}

apr_status_t gc_request_page(const gc_request_t *q, gc_page_t *page, const char **why)
{
    const char *limit = gc_request_parameter(q, "limit"),
               *cursor = gc_request_parameter(q, "cursor");
    apr_int64_t number = GC_PAGE_USUAL;

    memset(page, 0, sizeof(*page));
    if (limit
        && (gc_unit_integer(limit, &number) != APR_SUCCESS || number < 1 || number > PAGE_MAX)) {
        *why = "limit must be a whole number from 1 to 100.";
        return GC_EINPUT;
    }
    if (cursor && gc_cursor_parse(cursor, &page->after) != APR_SUCCESS) {
        *why = "cursor must be a next_cursor that an earlier answer gave.";
        return GC_EINPUT;
    }
    page->limit = limit || cursor ? (int)number : 0;
    page->has_cursor = cursor != NULL;
    return APR_SUCCESS;
}

apr_status_t gc_request_key(const gc_request_t *q, gc_key_t *key)
{
    const char *p = key->text = apr_table_get(q->r->headers_in, "Idempotency-Key");

    if (!p) {
        return APR_SUCCESS;
    }
    while (apr_isgraph(*p)) {
        p++;
    }
    if (*p || p == key->text || p - key->text > KEY_MAX) {
        return GC_EINPUT;
    }
    gc_code_fingerprint(&key->fingerprint, q->route->name, gc_uuid_text(q->pool, &q->room),
                        apr_psprintf(q->pool, "%" APR_INT64_T_FMT, q->id), q->raw ? q->raw : "",
                        NULL);
    return APR_SUCCESS;
}

int gc_request_accepts(const gc_request_t *q, const char *type)
{
    const char *accept = apr_table_get(q->r->headers_in, "Accept");

    return accept && strcasestr(accept, type) != NULL;
}
