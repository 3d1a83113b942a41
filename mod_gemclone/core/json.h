/* SPDX-License-Identifier: Apache-2.0
 * JSON with bounds, owned by pools.
 */
#ifndef GC_JSON_H
#define GC_JSON_H

#include <apr_pools.h>
#include <jansson.h>
#include "status.h"

/* How deep untrusted arrays and objects may be nested. */
#define GC_JSON_DEPTH 32

/* How many values they may hold altogether: of anybody's answers, and of a client's body. */
#define GC_JSON_VALUES 100000
#define GC_JSON_BODY_VALUES 1000

/* Parses untrusted text into a value owned by the pool. GC_EINPUT: it is no
 * JSON (RFC 8259), not UTF-8, has a member twice, is nested too deep or has too many values; *why
 * then tells a client where. NULs in strings pass: rules refuse them. */
GC_MUST_CHECK apr_status_t gc_json_parse(apr_pool_t *pool, const char *text, apr_size_t len,
                                         json_t **value, const char **why);

/* The same with another bound on the number of values. */
GC_MUST_CHECK apr_status_t gc_json_parse_within(apr_pool_t *pool, const char *text, apr_size_t len,
                                                apr_size_t most, json_t **value, const char **why);

/* Lets the pool release value when it is cleared. Returns value, which may be NULL. */
json_t *gc_json_own(apr_pool_t *pool, json_t *value);

/* Compact text, which lives as long as the pool; NULL without memory. *len may be NULL. */
const char *gc_json_text(apr_pool_t *pool, const json_t *value, apr_size_t *len);

/* Writes a text piece by piece, so that a long list needs no tree of all its values. */
typedef struct gc_json_writer_t gc_json_writer_t;
gc_json_writer_t *gc_json_writer_create(apr_pool_t *pool);
void gc_json_write_raw(gc_json_writer_t *writer, const char *text);
void gc_json_write(gc_json_writer_t *writer, const json_t *value);

/* Begins anew, in the same memory. */
void gc_json_writer_clear(gc_json_writer_t *writer);

/* The text, which lives as long as the pool; NULL without memory. *len may be NULL. */
const char *gc_json_written(gc_json_writer_t *writer, apr_size_t *len);

/* Whether a text can stand in JSON: it is UTF-8. */
int gc_json_takes(const char *text);

/* json_string(text), or null for NULL. */
json_t *gc_json_string_or_null(const char *text);

#endif
