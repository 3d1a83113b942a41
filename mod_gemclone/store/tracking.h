/* SPDX-License-Identifier: Apache-2.0
 * Hears from Redis which keys have changed: CLIENT TRACKING in broadcast mode,
 * over RESP2, which is all that hiredis 0.14 speaks: one connection subscribes to
 * __redis__:invalidate, another redirects there and proves by PING that Redis
 * still answers. If either is lost, both are made anew.
 * https://redis.io/docs/latest/develop/reference/client-side-caching/
 */
#ifndef GC_TRACKING_H
#define GC_TRACKING_H

#include <event2/event.h>

#include "redis.h"

typedef struct gc_tracking_handler_t {
    /* A key under the prefix has changed; NULL: any of them may have. */
    void (*changed)(void *baton, const char *key, apr_size_t len);
    /* From now on changes are heard of, or may be missed. */
    void (*hears)(void *baton, int hears);
    void *baton;
} gc_tracking_handler_t;

typedef struct gc_tracking_t gc_tracking_t;

/* Runs on the loop until the pool is cleared, which must happen on its thread;
 * options and prefix must live as long. */
GC_MUST_CHECK apr_status_t gc_loop_tracking_start(apr_pool_t *pool, struct event_base *base,
                                                  const gc_redis_options_t *options,
                                                  const char *prefix,
                                                  const gc_tracking_handler_t *handler,
                                                  gc_tracking_t **tracking);

#endif
