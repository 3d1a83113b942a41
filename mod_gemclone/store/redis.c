/* SPDX-License-Identifier: Apache-2.0
 * Redis, for threads that may block.
 */
#include "redis.h"

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_uri.h>
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "core/timeval.h"
#include "core/unit.h"

#define RETRY_AFTER apr_time_from_sec(1)

struct gc_redis_t {
    gc_redis_options_t options;
    apr_thread_mutex_t *mutex; /* guards what follows */
    apr_thread_cond_t *freed;
    redisContext **idle;
    int idle_count, open_count;
    apr_time_t down_until;
    int down;
    char address[GC_REDIS_ADDRESS]; /* of the host; empty: not known yet */
};

apr_status_t gc_redis_url_parse(apr_pool_t *pool, const char *url, gc_redis_options_t *options)
{
    apr_uri_t uri;
    apr_int64_t database = 0, port = 6379;

    if (strncasecmp(url, "unix:", 5) == 0) {
        options->path = url + 5;
        return *options->path == '/' ? APR_SUCCESS : GC_EINPUT;
    }
    if (apr_uri_parse(pool, url, &uri) != APR_SUCCESS || !uri.scheme || !uri.hostname
        || strcasecmp(uri.scheme, "redis") != 0 || !*uri.hostname || uri.user || uri.query
        || uri.fragment) {
        return GC_EINPUT;
    }
    if (uri.path && uri.path[0] && uri.path[1]
        && (gc_unit_integer(uri.path + 1, &database) != APR_SUCCESS || database < 0
            || database > 65535)) {
        return GC_EINPUT;
    }
    if (uri.port_str
        && (gc_unit_integer(uri.port_str, &port) != APR_SUCCESS || port < 1 || port > 65535)) {
        return GC_EINPUT;
    }
    options->host = uri.hostname;
    options->port = (int)port;
    options->database = (int)database;
    return APR_SUCCESS;
}

/* --- Connections --------------------------------------------------------- */

/* Sends a command and waits for its reply; NULL: the connection is of no more use.
 * hiredis bounds each read, but not their sum: a reply that trickles would hold the
 * caller for as long as it likes. */
static redisReply *converse(redisContext *context, apr_time_t deadline, int argc, const char **argv,
                            const size_t *lens)
{
    void *reply = NULL;
    int sent = redisAppendCommandArgv(context, argc, argv, lens) != REDIS_OK;

    while (!sent && redisBufferWrite(context, &sent) == REDIS_OK) {
    }
    while (!context->err && redisGetReplyFromReader(context, &reply) == REDIS_OK && !reply) {
        struct pollfd fd = {.fd = context->fd, .events = POLLIN};
        apr_interval_time_t left = deadline - apr_time_now();

        if (left <= 0 || poll(&fd, 1, (int)(left / 1000) + 1) == 0) {
            context->err = REDIS_ERR_IO;
        } else {
            redisBufferRead(context);
        }
    }
    return reply;
}

static int accepted(redisContext *context, apr_time_t deadline, int argc, const char **argv)
{
    redisReply *reply = converse(context, deadline, argc, argv, NULL);
    int good = reply && reply->type != REDIS_REPLY_ERROR;

    if (reply) {
        freeReplyObject(reply);
    }
    return good;
}

static int sign_in(const gc_redis_options_t *o, redisContext *context, apr_time_t deadline)
{
    char database[8];
    const char *auth[] = {"AUTH", o->username ? o->username : o->password, o->password};
    const char *select[] = {"SELECT", database};

    apr_snprintf(database, sizeof(database), "%d", o->database);
    return (!o->password || accepted(context, deadline, o->username ? 3 : 2, auth))
           && (!o->database || accepted(context, deadline, 2, select));
}

/* *deadline: of the sign-in, and of what comes after it. */
static redisContext *open_connection(const gc_redis_options_t *o, const char *address,
                                     apr_time_t *deadline)
{
    struct timeval connect = gc_timeval(o->connect_timeout), command = gc_timeval(o->timeout);
    redisContext *context = o->path ? redisConnectUnixWithTimeout(o->path, connect)
                                    : redisConnectWithTimeout(address, o->port, connect);

    *deadline = apr_time_now() + o->timeout;
    if (context
        && (context->err || redisSetTimeout(context, command) != REDIS_OK
            || !sign_in(o, context, *deadline))) {
        redisFree(context);
        context = NULL;
    }
    return context;
}

/* Its idle siblings most likely died of the same. */
static void note_failure(gc_redis_t *redis)
{
    redisContext *dead[64];
    int count = 0, changed;

    apr_thread_mutex_lock(redis->mutex);
    changed = !redis->down;
    __atomic_store_n(&redis->down, 1, __ATOMIC_RELAXED);
    redis->down_until = apr_time_now() + RETRY_AFTER;
    while (redis->idle_count > 0 && count < 64) {
        dead[count++] = redis->idle[--redis->idle_count];
        redis->open_count--;
    }
    apr_thread_cond_broadcast(redis->freed);
    apr_thread_mutex_unlock(redis->mutex);
    while (count > 0) {
        redisFree(dead[--count]);
    }
    if (changed) {
        gc_log(redis->options.log, GEM0301, "Redis cannot be used; work goes on without it");
    }
}

static void note_success(gc_redis_t *redis)
{
    int changed;

    apr_thread_mutex_lock(redis->mutex);
    changed = redis->down;
    __atomic_store_n(&redis->down, 0, __ATOMIC_RELAXED);
    apr_thread_mutex_unlock(redis->mutex);
    if (changed) {
        gc_log(redis->options.log, GEM0302, "Redis is used again");
    }
}

static int may_try(const gc_redis_t *redis)
{
    return (redis->options.path || *redis->address)
           && (!redis->down || apr_time_now() >= redis->down_until);
}

static int is_exhausted(const gc_redis_t *redis)
{
    return redis->idle_count == 0 && redis->open_count >= redis->options.connections;
}

/* Under the mutex: who insists waits until a connection is free, or may be opened. */
static void wait_for_turn(gc_redis_t *redis, apr_time_t deadline)
{
    apr_interval_time_t left = deadline - apr_time_now();

    while (may_try(redis) && is_exhausted(redis) && left > 0) {
        (void)apr_thread_cond_timedwait(redis->freed, redis->mutex, left);
        left = deadline - apr_time_now();
    }
}

/* A connection, or NULL: none is to be had; and until when one may talk over it. */
static redisContext *checkout(gc_redis_t *redis, int insists, apr_time_t *deadline)
{
    char address[GC_REDIS_ADDRESS];
    redisContext *context = NULL;
    int may_open = 0;

    *deadline = apr_time_now() + redis->options.timeout;

    apr_thread_mutex_lock(redis->mutex);
    if (insists) {
        wait_for_turn(redis, *deadline);
    }
    if (may_try(redis) && !is_exhausted(redis)) {
        if (redis->down) {
            redis->down_until = apr_time_now() + RETRY_AFTER; /* one tries, the others go without */
        }
        may_open = redis->idle_count == 0;
        if (may_open) {
            redis->open_count++;
        } else {
            context = redis->idle[--redis->idle_count];
        }
    }
    memcpy(address, redis->address, sizeof(address));
    apr_thread_mutex_unlock(redis->mutex);
    if (!may_open) {
        return context;
    }
    context = open_connection(&redis->options, address, deadline);
    if (!context) {
        apr_thread_mutex_lock(redis->mutex);
        redis->open_count--;
        apr_thread_mutex_unlock(redis->mutex);
        note_failure(redis);
    }
    return context;
}

static void checkin(gc_redis_t *redis, redisContext *context)
{
    int broken = context->err != 0;

    apr_thread_mutex_lock(redis->mutex);
    if (broken) {
        redis->open_count--;
    } else {
        redis->idle[redis->idle_count++] = context;
    }
    apr_thread_cond_signal(redis->freed);
    apr_thread_mutex_unlock(redis->mutex);
    if (broken) {
        redisFree(context);
    }
}

static apr_status_t free_reply_cb(void *reply)
{
    freeReplyObject(reply);
    return APR_SUCCESS;
}

/* Runs a command; the reply, which is no error, belongs to the pool. */
static apr_status_t run(gc_redis_t *redis, apr_pool_t *pool, int insists, int argc,
                        const char **argv, const size_t *lens, redisReply **reply)
{
    apr_time_t deadline;
    redisContext *context = checkout(redis, insists, &deadline);

    if (!context) {
        gc_metrics_count(redis->options.metrics, GC_COUNT_REDIS_SKIPPED);
        return APR_EGENERAL;
    }
    *reply = converse(context, deadline, argc, argv, lens);
    checkin(redis, context);
    if (*reply) {
        apr_pool_cleanup_register(pool, *reply, free_reply_cb, apr_pool_cleanup_null);
    }
    if (!*reply || (*reply)->type == REDIS_REPLY_ERROR) {
        gc_metrics_count(redis->options.metrics, GC_COUNT_REDIS_FAILED);
        note_failure(redis);
        return APR_EGENERAL;
    }
    gc_metrics_count(redis->options.metrics, GC_COUNT_REDIS_OK);
    if (__atomic_load_n(&redis->down, __ATOMIC_RELAXED)) {
        note_success(redis);
    }
    return APR_SUCCESS;
}

/* --- Commands ------------------------------------------------------------ */

apr_status_t gc_redis_get2(gc_redis_t *redis, apr_pool_t *pool, const char *const keys[2],
                           gc_redis_value_t values[2])
{
    const char *argv[] = {"MGET", keys[0], keys[1]};
    redisReply *reply;
    apr_status_t rv = run(redis, pool, 0, 3, argv, NULL, &reply);
    size_t i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        return APR_EGENERAL;
    }
    for (i = 0; i < 2; i++) {
        const redisReply *element = reply->element[i];

        values[i].data = element->type == REDIS_REPLY_STRING ? element->str : NULL;
        values[i].len = element->type == REDIS_REPLY_STRING ? element->len : 0;
    }
    return APR_SUCCESS;
}

apr_status_t gc_redis_set(gc_redis_t *redis, apr_pool_t *pool, const char *key, const char *data,
                          apr_size_t len, apr_interval_time_t ttl, int flags)
{
    char ms[24];
    const char *argv[] = {"SET", key, data, "PX", ms, "NX"};
    size_t lens[] = {3, strlen(key), len, 2, 0, 2};
    redisReply *reply;

    lens[4] = (size_t)apr_snprintf(ms, sizeof(ms), "%" APR_INT64_T_FMT, (apr_int64_t)ttl / 1000);
    return run(redis, pool, flags & GC_REDIS_INSIST, flags & GC_REDIS_ONLY_NEW ? 6 : 5, argv, lens,
               &reply);
}

apr_status_t gc_redis_ping(gc_redis_t *redis, apr_pool_t *pool)
{
    const char *argv[] = {"PING"};
    redisReply *reply;

    return run(redis, pool, 0, 1, argv, NULL, &reply);
}

static apr_status_t destroy_cb(void *baton)
{
    gc_redis_t *redis = baton;

    while (redis->idle_count > 0) {
        redisFree(redis->idle[--redis->idle_count]);
    }
    return APR_SUCCESS;
}

const gc_redis_options_t *gc_redis_options(const gc_redis_t *redis)
{
    return &redis->options;
}

int gc_redis_is_address(const char *host)
{
    struct in6_addr parsed; /* room for either */

    return inet_pton(AF_INET, host, &parsed) == 1 || inet_pton(AF_INET6, host, &parsed) == 1;
}

void gc_redis_set_address(gc_redis_t *redis, const char *address)
{
    apr_thread_mutex_lock(redis->mutex);
    apr_cpystrn(redis->address, address, sizeof(redis->address));
    apr_thread_mutex_unlock(redis->mutex);
}

apr_status_t gc_redis_create(apr_pool_t *pool, const gc_redis_options_t *options,
                             gc_redis_t **redis)
{
    gc_redis_t *r = apr_pcalloc(pool, sizeof(*r));
    apr_status_t rv = apr_thread_mutex_create(&r->mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_thread_cond_create(&r->freed, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    r->options = *options;
    if (options->host && gc_redis_is_address(options->host)) {
        gc_redis_set_address(r, options->host);
    }
    r->idle = apr_pcalloc(pool, sizeof(void *) * (apr_size_t)options->connections);
    apr_pool_cleanup_register(pool, r, destroy_cb, apr_pool_cleanup_null);
    *redis = r;
    return APR_SUCCESS;
}

const char *gc_redis_state(gc_redis_t *redis, apr_pool_t *pool)
{
    return !redis                                      ? "not configured"
           : gc_redis_ping(redis, pool) == APR_SUCCESS ? "ok"
                                                       : "unreachable";
}
