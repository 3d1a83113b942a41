/* SPDX-License-Identifier: Apache-2.0
 * A bounded, growing run of bytes outside the pools. */
#include "membuf.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

static apr_status_t membuf_cleanup(void *data)
{
    gc_membuf_t *buffer = data;

    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->length = buffer->capacity = 0;
    return APR_SUCCESS;
}

void gc_membuf_init(gc_membuf_t *buffer, apr_pool_t *pool, apr_size_t max)
{
    *buffer = (gc_membuf_t){.max = max};
    apr_pool_cleanup_register(pool, buffer, membuf_cleanup, apr_pool_cleanup_null);
}

static apr_status_t grow(gc_membuf_t *buffer, apr_size_t needed)
{
    apr_size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    char *bytes;

    while (capacity < needed) {
        capacity *= 2;
    }
    bytes = realloc(buffer->bytes, capacity);
    if (!bytes) {
        return APR_ENOMEM;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return APR_SUCCESS;
}

apr_status_t gc_membuf_append(gc_membuf_t *buffer, const char *bytes, apr_size_t length)
{
    apr_status_t status = APR_SUCCESS;

    if (length > buffer->max - buffer->length) {
        return APR_ENOSPC;
    }
    if (length > buffer->capacity - buffer->length) {
        status = grow(buffer, buffer->length + length);
    }
    if (status == APR_SUCCESS && length > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
    }
    return status;
}

void gc_membuf_clear(gc_membuf_t *buffer)
{
    buffer->length = 0;
}
