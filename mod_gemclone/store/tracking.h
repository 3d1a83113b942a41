/* SPDX-License-Identifier: Apache-2.0
 * Hears from Redis which keys have changed: CLIENT TRACKING in broadcast mode,
 * over RESP2, which is all that hiredis 0.14 speaks: the link's ear listens to
 * __redis__:invalidate, its voice redirects there.
 * https://redis.io/docs/latest/develop/reference/client-side-caching/
 */
#ifndef GC_TRACKING_H
#define GC_TRACKING_H

#include "link.h"

typedef struct gc_tracking_handler_t {
    /* A key under the prefix has changed; NULL: any of them may have. */
    void (*changed)(void *baton, const char *key, apr_size_t len);
    /* From now on changes are heard of, or may be missed. */
    void (*hears)(void *baton, int hears);
    void *baton;
} gc_tracking_handler_t;

/* On the loop, for as long as the link lives. The pool must live until then, prefix as well. */
void gc_loop_tracking_start(apr_pool_t *pool, gc_link_t *link, const char *prefix,
                            const gc_tracking_handler_t *handler);

#endif
