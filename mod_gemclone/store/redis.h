/* SPDX-License-Identifier: Apache-2.0
 * Redis, for threads that may block: a pool of connections, each call bounded.
 *
 * Redis is speed, not truth: a caller takes any failure as "not there". After
 * one, nobody tries again for a second.
 */
#ifndef GC_REDIS_H
#define GC_REDIS_H

#include <apr_time.h>
#include "core/log.h"
#include "core/metrics.h"
#include "core/status.h"

typedef struct gc_redis_options_t {
    const char *host; /* or NULL: */
    const char *path; /* of a Unix socket */
    int port;
    int database;
    const char *username, *password; /* or NULL */
    apr_interval_time_t timeout;     /* of one command, with a sign-in before it */
    apr_interval_time_t connect_timeout;
    int connections; /* at most so many at once */
    const gc_log_t *log;
    gc_metrics_t *metrics; /* or NULL */
} gc_redis_options_t;

typedef struct gc_redis_t gc_redis_t;

/* Reads "redis://host[:port][/database]" or "unix:/path" into options. GC_EINPUT. */
GC_MUST_CHECK apr_status_t gc_redis_url_parse(apr_pool_t *pool, const char *url,
                                              gc_redis_options_t *options);

/* Connects to nothing yet. Freed with the pool. Names are not looked up here, where nobody could
 * bound it: with a host that is one, every call fails until gc_redis_set_address. */
GC_MUST_CHECK apr_status_t gc_redis_create(apr_pool_t *pool, const gc_redis_options_t *options,
                                           gc_redis_t **redis);

/* As they were given. */
const gc_redis_options_t *gc_redis_options(const gc_redis_t *redis);

enum { GC_REDIS_ADDRESS = 64 };

/* Where new connections go: a numeric address, shorter than GC_REDIS_ADDRESS. */
void gc_redis_set_address(gc_redis_t *redis, const char *address);

/* Whether a host is an address by itself. */
int gc_redis_is_address(const char *host);

typedef struct gc_redis_value_t {
    const char *data; /* NULL: there is no such key */
    apr_size_t len;
} gc_redis_value_t;

/* Any failure is APR_EGENERAL; so is it when all connections are busy. Values live
 * in the pool. */
GC_MUST_CHECK apr_status_t gc_redis_get2(gc_redis_t *redis, apr_pool_t *pool,
                                         const char *const keys[2], gc_redis_value_t values[2]);

enum {
    GC_REDIS_ONLY_NEW = 1, /* unless the key is there already */
    GC_REDIS_INSIST = 2    /* wait for a connection, at most options.timeout */
};

/* Sets a key for ttl. */
GC_MUST_CHECK apr_status_t gc_redis_set(gc_redis_t *redis, apr_pool_t *pool, const char *key,
                                        const char *data, apr_size_t len, apr_interval_time_t ttl,
                                        int flags);

GC_MUST_CHECK apr_status_t gc_redis_ping(gc_redis_t *redis, apr_pool_t *pool);

/* How it is, in a word or two for people: asks it. NULL is none. */
const char *gc_redis_state(gc_redis_t *redis, apr_pool_t *pool);

#endif
