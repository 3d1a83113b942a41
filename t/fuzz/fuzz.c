/* SPDX-License-Identifier: Apache-2.0
 * What fuzz targets share.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_allocator.h>
#include <apr_general.h>
#include <jansson.h>
#include <sodium.h>

void fuzz_broken(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: it does not hold that %s\n", file, line, condition);
    abort();
}

apr_pool_t *fuzz_pool(void)
{
    static apr_pool_t *root;
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (!root) {
        HOLDS(apr_initialize() == APR_SUCCESS && sodium_init() >= 0);
        apr_pool_create(&root, NULL);
    }
    HOLDS(apr_allocator_create(&allocator) == APR_SUCCESS);
    apr_allocator_max_free_set(allocator, 1);
    apr_pool_create_ex(&pool, root, NULL, allocator);
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

static apr_status_t free_cb(void *memory)
{
    free(memory);
    return APR_SUCCESS;
}

char *fuzz_text(apr_pool_t *pool, const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    HOLDS(text != NULL);
    if (size) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    apr_pool_cleanup_register(pool, text, free_cb, apr_pool_cleanup_null);
    return text;
}

char *fuzz_line(apr_pool_t *pool, const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    size_t len = end ? (size_t)(end - *data) : *size;
    char *line = fuzz_text(pool, *data, len);

    *data += len + (end != NULL);
    *size -= len + (end != NULL);
    return line;
}

long fuzz_number(char **line, long otherwise)
{
    char *end;
    long number = strtol(*line, &end, 10);

    if (end == *line) {
        return otherwise;
    }
    *line = end;
    return number;
}

size_t fuzz_piece(char *sizes, char **next, size_t left)
{
    long piece = fuzz_number(next, 0);

    if (piece <= 0 && *next != sizes) {
        *next = sizes;
        piece = fuzz_number(next, 0);
    }
    return piece > 0 && (size_t)piece < left ? (size_t)piece : left;
}

/* By Jansson's own reader of strings, which knows all forms that are none. */
int fuzz_is_text(const char *bytes, size_t size)
{
    json_t *string = size && memchr(bytes, '\0', size) ? NULL : json_stringn(bytes, size);

    json_decref(string);
    return string != NULL;
}
