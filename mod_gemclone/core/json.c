/* SPDX-License-Identifier: Apache-2.0
 * JSON with bounds, owned by pools.
 */
#include "json.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t release_cb(void *value)
{
    json_decref(value);
    return APR_SUCCESS;
}

json_t *gc_json_own(apr_pool_t *pool, json_t *value)
{
    if (value) {
        apr_pool_cleanup_register(pool, value, release_cb, apr_pool_cleanup_null);
    }
    return value;
}

/* Jansson recurses as deep as the text is nested: that must be known before. */
static int too_deep(const char *text, apr_size_t len)
{
    int depth = 0, in_string = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = 0;
            }
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '{' || c == '[') {
            if (++depth > GC_JSON_DEPTH) {
                return 1;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return 0;
}

apr_status_t gc_json_parse(apr_pool_t *pool, const char *text, apr_size_t len, json_t **value,
                           const char **why)
{
    json_error_t error;

    if (too_deep(text, len)) {
        *why = apr_psprintf(pool, "The JSON is nested more than %d levels deep.", GC_JSON_DEPTH);
        return GC_EINPUT;
    }
    *value =
        json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!*value) {
        /* Jansson's own text quotes the input, which may be anything. */
        *why = apr_psprintf(pool, "The body is not JSON: it breaks at line %d, column %d.",
                            error.line, error.column);
        return GC_EINPUT;
    }
    gc_json_own(pool, *value);
    return APR_SUCCESS;
}

typedef struct {
    char *text;
    apr_size_t len, size;
    apr_pool_t *pool;
} writer_t;

static int append_cb(const char *bytes, size_t len, void *baton)
{
    writer_t *w = baton;

    if (w->len + len + 1 > w->size) {
        apr_size_t size = 2 * w->size + len;
        char *text = apr_palloc(w->pool, size);

        if (!text) {
            return -1;
        }
        memcpy(text, w->text, w->len);
        w->text = text;
        w->size = size;
    }
    memcpy(w->text + w->len, bytes, len);
    w->len += len;
    return 0;
}

const char *gc_json_text(apr_pool_t *pool, const json_t *value, apr_size_t *len)
{
    writer_t w = {.size = 512, .pool = pool};

    w.text = apr_palloc(pool, w.size);
    if (!w.text || json_dump_callback(value, append_cb, &w, JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
        return NULL;
    }
    w.text[w.len] = '\0';
    if (len) {
        *len = w.len;
    }
    return w.text;
}

json_t *gc_json_string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}
