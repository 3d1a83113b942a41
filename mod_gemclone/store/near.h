/* SPDX-License-Identifier: Apache-2.0
 * A child's own copies of small answers, bounded in bytes, least recently used
 * first out.
 *
 * An entry is good while its stamp is the one that the reader asks for: nobody
 * removes entries, whoever changes the truth changes the stamp (cache.h).
 */
#ifndef GC_NEAR_H
#define GC_NEAR_H

#include <apr_time.h>
#include "core/metrics.h"
#include "core/status.h"
#include "core/uuid.h"

typedef struct gc_near_t gc_near_t;

typedef struct gc_near_key_t {
    gc_uuid_t user;
    int kind;
    apr_uint64_t stamp;
} gc_near_key_t;

/* Freed with the pool. All functions may be called from any thread. metrics may be NULL. */
GC_MUST_CHECK apr_status_t gc_near_create(apr_pool_t *pool, apr_size_t bytes, gc_metrics_t *metrics,
                                          gc_near_t **near);

/* Copies an entry into the pool. Returns whether there was one. */
int gc_near_get(gc_near_t *near, apr_pool_t *pool, const gc_near_key_t *key, const char **body,
                apr_size_t *len);

/* Keeps a copy until `expires`, in place of an older one. Without memory, or for
 * a body out of proportion, it does nothing. */
void gc_near_put(gc_near_t *near, const gc_near_key_t *key, const char *body, apr_size_t len,
                 apr_time_t expires);

#endif
