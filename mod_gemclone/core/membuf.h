/* SPDX-License-Identifier: Apache-2.0
 * A bounded, growing run of bytes outside the pools. */
#ifndef GC_MEMBUF_H
#define GC_MEMBUF_H

#include <apr_pools.h>

/*
 * A pool cannot give memory back, so what grows with a stream of an hour lives in malloc'ed memory
 * instead, which doubles as needed, is used again after a clear, and is freed by a cleanup of the
 * pool that it was set up with. Not thread-safe; read `bytes` and `length` at will, change them
 * through the functions only.
 */
typedef struct {
    char *bytes; /* not terminated; NULL while nothing was ever appended */
    apr_size_t length;
    apr_size_t capacity;
    apr_size_t max; /* of length */
} gc_membuf_t;

/* The struct itself must live at least as long as `pool`: put it into something allocated there. */
void gc_membuf_init(gc_membuf_t *buffer, apr_pool_t *pool, apr_size_t max);

/* All or nothing: APR_ENOSPC when the bound would be passed, APR_ENOMEM when memory is out. */
apr_status_t gc_membuf_append(gc_membuf_t *buffer, const char *bytes, apr_size_t length)
    __attribute__((warn_unused_result));

/* Empties it and keeps the memory. */
void gc_membuf_clear(gc_membuf_t *buffer);

#endif
