/* SPDX-License-Identifier: Apache-2.0
 * JSON with bounds, owned by pools.
 */
#include "json.h"

#include <apr_strings.h>
#include <stdlib.h>
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

/* How deep a text is nested, and how many values it has, if it is JSON. */
typedef struct {
    int depth;
    apr_size_t values;
} extent_t;

/* Jansson recurses as deep as a text is nested, and makes a value of each: both must be known
 * before. */
static extent_t extent_of(const char *text, apr_size_t len)
{
    extent_t extent = {0, 1};
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
            extent.depth = ++depth > extent.depth ? depth : extent.depth;
            extent.values++; /* the first in it */
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            extent.values++;
        }
    }
    return extent;
}

apr_status_t gc_json_parse_within(apr_pool_t *pool, const char *text, apr_size_t len,
                                  apr_size_t most, json_t **value, const char **why)
{
    extent_t extent = extent_of(text, len);
    json_error_t error;

    if (extent.values > most) {
        *why = apr_psprintf(pool, "The JSON has more than %" APR_SIZE_T_FMT " values.", most);
        return GC_EINPUT;
    }
    if (extent.depth > GC_JSON_DEPTH) {
        *why = apr_psprintf(pool, "The JSON is nested more than %d levels deep.", GC_JSON_DEPTH);
        return GC_EINPUT;
    }
    *value =
        json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!*value) {
        /* Jansson's own text quotes the input, which may be anything. */
        *why = json_error_code(&error) == json_error_numeric_overflow
                   ? "A number in the JSON is too large."
                   : apr_psprintf(pool, "The body is not JSON: it breaks at line %d, column %d.",
                                  error.line, error.column);
        return GC_EINPUT;
    }
    gc_json_own(pool, *value);
    return APR_SUCCESS;
}

apr_status_t gc_json_parse(apr_pool_t *pool, const char *text, apr_size_t len, json_t **value,
                           const char **why)
{
    return gc_json_parse_within(pool, text, len, GC_JSON_VALUES, value, why);
}

/* Texts begin in the pool; long ones go on in memory of their own, which is given
 * back with the pool: a pool would keep what the text grew out of. */
struct gc_json_writer_t {
    char *text;
    apr_size_t len, size;
    apr_pool_t *pool;
    int is_own; /* text was allocated, and not in the pool */
    int failed;
};

static apr_status_t free_text_cb(void *baton)
{
    gc_json_writer_t *w = baton;

    if (w->is_own) {
        free(w->text);
    }
    return APR_SUCCESS;
}

gc_json_writer_t *gc_json_writer_create(apr_pool_t *pool)
{
    gc_json_writer_t *w = apr_pcalloc(pool, sizeof(*w));

    w->pool = pool;
    w->size = 512;
    w->text = apr_palloc(pool, w->size);
    apr_pool_cleanup_register(pool, w, free_text_cb, apr_pool_cleanup_null);
    return w;
}

static int grow(gc_json_writer_t *w, apr_size_t size)
{
    char *text = realloc(w->is_own ? w->text : NULL, size);

    if (!text) {
        return -1;
    }
    if (!w->is_own) {
        memcpy(text, w->text, w->len);
        w->is_own = 1;
    }
    w->text = text;
    w->size = size;
    return 0;
}

static int append_cb(const char *bytes, size_t len, void *baton)
{
    gc_json_writer_t *w = baton;

    if (w->len + len + 1 > w->size && grow(w, 2 * w->size + len) != 0) {
        return -1;
    }
    memcpy(w->text + w->len, bytes, len);
    w->len += len;
    return 0;
}

void gc_json_write_raw(gc_json_writer_t *writer, const char *text)
{
    writer->failed |= append_cb(text, strlen(text), writer);
}

void gc_json_write(gc_json_writer_t *writer, const json_t *value)
{
    writer->failed |=
        !value || json_dump_callback(value, append_cb, writer, JSON_COMPACT | JSON_ENCODE_ANY) != 0;
}

void gc_json_writer_clear(gc_json_writer_t *writer)
{
    writer->len = 0;
}

const char *gc_json_written(gc_json_writer_t *writer, apr_size_t *len)
{
    if (writer->failed) {
        return NULL;
    }
    writer->text[writer->len] = '\0';
    if (len) {
        *len = writer->len;
    }
    return writer->text;
}

const char *gc_json_text(apr_pool_t *pool, const json_t *value, apr_size_t *len)
{
    gc_json_writer_t *writer = gc_json_writer_create(pool);

    gc_json_write(writer, value);
    return gc_json_written(writer, len);
}

int gc_json_takes(const char *text)
{
    json_t *string = json_string(text);

    json_decref(string);
    return string != NULL;
}

json_t *gc_json_string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}
