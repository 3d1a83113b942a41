/* SPDX-License-Identifier: Apache-2.0
 * Answers that are kept per user, right after every change.
 */
#include "cache.h"

#include <apr_strings.h>
#include <sodium.h>
#include <string.h>

/* How long a version outlives its last change: longer than any value. */
#define VERSION_TTL apr_time_from_sec(86400)

enum { VERSION_LEN = 16 }; /* hex digits */

struct gc_cache_shared_t {
    apr_uint64_t distrust_until; /* Redis missed a change: pass it by until then */
    apr_uint32_t counters[GC_CACHE_COUNTERS];
};

struct gc_cache_t {
    gc_cache_options_t options;
    gc_near_t *near;
    /* Which connection changes are heard on; even: none at the moment. */
    apr_uint32_t hearing;
};

static apr_uint32_t *counter_of(const gc_cache_t *cache, const gc_uuid_t *user)
{
    apr_uint32_t i;

    memcpy(&i, user->bytes, sizeof(i));
    return &cache->options.shared->counters[i % GC_CACHE_COUNTERS];
}

static void move_counter(const gc_cache_t *cache, const gc_uuid_t *user)
{
    __atomic_add_fetch(counter_of(cache, user), 1, __ATOMIC_SEQ_CST);
}

/* 0: keep nothing near. */
static apr_uint64_t stamp_of(const gc_cache_t *cache, const gc_uuid_t *user)
{
    apr_uint32_t hearing = __atomic_load_n(&cache->hearing, __ATOMIC_SEQ_CST);
    apr_uint32_t count = __atomic_load_n(counter_of(cache, user), __ATOMIC_SEQ_CST);

    return hearing % 2 ? (apr_uint64_t)hearing << 32 | count : 0;
}

static int trusts_redis(const gc_cache_t *cache)
{
    return (apr_uint64_t)apr_time_now()
           >= __atomic_load_n(&cache->options.shared->distrust_until, __ATOMIC_SEQ_CST);
}

static const char *key_of(const gc_cache_t *cache, apr_pool_t *pool, char kind,
                          const gc_uuid_t *user)
{
    return apr_psprintf(pool, "%s%c:%s", cache->options.prefix, kind, gc_uuid_text(pool, user));
}

static const char *new_version(apr_pool_t *pool)
{
    unsigned char bytes[VERSION_LEN / 2];
    char *text = apr_palloc(pool, VERSION_LEN + 1);

    randombytes_buf(bytes, sizeof(bytes));
    return sodium_bin2hex(text, VERSION_LEN + 1, bytes, sizeof(bytes));
}

static const char kinds[] = {
    [GC_CACHE_USER] = 'u', [GC_CACHE_CHATROOMS] = 'c', [GC_CACHE_TIER] = 't'};

/* A user without a version gets one; another process' wins. */
static const char *make_version(gc_cache_t *cache, apr_pool_t *pool, const char *const keys[2])
{
    const char *version = new_version(pool);
    gc_redis_value_t values[2];

    if (gc_redis_set(cache->options.redis, pool, keys[0], version, VERSION_LEN, VERSION_TTL,
                     GC_REDIS_ONLY_NEW)
            != APR_SUCCESS
        || gc_redis_get2(cache->options.redis, pool, keys, values) != APR_SUCCESS
        || values[0].len != VERSION_LEN) {
        return NULL;
    }
    return values[0].data;
}

/* Looks into Redis; fills in the slot's version where there is no good value. */
static int get_far(gc_cache_t *cache, apr_pool_t *pool, gc_cache_slot_t *slot, const char **body,
                   apr_size_t *len)
{
    const gc_uuid_t *user = &slot->near.user;
    const char *keys[] = {key_of(cache, pool, 'v', user),
                          key_of(cache, pool, kinds[slot->near.kind], user)};
    gc_redis_value_t found[2];

    if (gc_redis_get2(cache->options.redis, pool, keys, found) != APR_SUCCESS) {
        return 0;
    }
    if (found[0].len != VERSION_LEN) {
        slot->version = make_version(cache, pool, keys);
        return 0;
    }
    slot->version = found[0].data;
    if (found[1].len < VERSION_LEN || memcmp(found[1].data, found[0].data, VERSION_LEN) != 0) {
        return 0;
    }
    *body = found[1].data + VERSION_LEN;
    *len = found[1].len - VERSION_LEN;
    return 1;
}

static void put_near(gc_cache_t *cache, const gc_cache_slot_t *slot, const char *body,
                     apr_size_t len)
{
    if (slot->near.stamp) {
        gc_near_put(cache->near, &slot->near, body, len, apr_time_now() + cache->options.ttl);
    }
}

int gc_cache_get(gc_cache_t *cache, apr_pool_t *pool, gc_cache_kind_e kind, const gc_uuid_t *user,
                 const char **body, apr_size_t *len, gc_cache_slot_t *slot)
{
    memset(slot, 0, sizeof(*slot));
    if (!cache->options.redis) {
        return 0;
    }
    slot->near.user = *user;
    slot->near.kind = kind;
    slot->near.stamp = stamp_of(cache, user);
    if (slot->near.stamp && gc_near_get(cache->near, pool, &slot->near, body, len)) {
        gc_metrics_count(cache->options.metrics, GC_COUNT_CACHE_NEAR);
        return 1;
    }
    if (trusts_redis(cache) && get_far(cache, pool, slot, body, len)) {
        gc_metrics_count(cache->options.metrics, GC_COUNT_CACHE_REDIS);
        put_near(cache, slot, *body, *len);
        return 1;
    }
    gc_metrics_count(cache->options.metrics, GC_COUNT_CACHE_MISS);
    return 0;
}

void gc_cache_put(gc_cache_t *cache, apr_pool_t *pool, const gc_cache_slot_t *slot,
                  const char *body, apr_size_t len)
{
    char *value;

    if (!slot->version) {
        return;
    }
    put_near(cache, slot, body, len);
    value = apr_palloc(pool, VERSION_LEN + len);
    memcpy(value, slot->version, VERSION_LEN);
    memcpy(value + VERSION_LEN, body, len);
    /* A value that could not be kept is read from Postgres again: no harm done. */
    (void)!gc_redis_set(cache->options.redis, pool,
                        key_of(cache, pool, kinds[slot->near.kind], &slot->near.user), value,
                        VERSION_LEN + len, cache->options.ttl, 0);
}

void gc_cache_forget(gc_cache_t *cache, apr_pool_t *pool, const gc_uuid_t *user)
{
    apr_uint64_t until = (apr_uint64_t)(apr_time_now() + cache->options.ttl);

    if (!cache->options.redis) {
        return;
    }
    if (gc_redis_set(cache->options.redis, pool, key_of(cache, pool, 'v', user), new_version(pool),
                     VERSION_LEN, VERSION_TTL, GC_REDIS_INSIST)
        != APR_SUCCESS) {
        __atomic_store_n(&cache->options.shared->distrust_until, until, __ATOMIC_SEQ_CST);
    }
    /* Last: under the new counter nobody finds the old value in Redis any more. */
    move_counter(cache, user);
}

const char *gc_cache_version_prefix(const gc_cache_t *cache, apr_pool_t *pool)
{
    return apr_pstrcat(pool, cache->options.prefix, "v:", NULL);
}

void gc_loop_cache_changed(gc_cache_t *cache, const char *key, apr_size_t len)
{
    gc_uuid_t user;

    if (!key) {
        gc_loop_cache_hears(cache, 1);
    } else if (len >= GC_UUID_TEXT
               && gc_uuid_parse(&user, key + len - GC_UUID_TEXT, GC_UUID_TEXT) == APR_SUCCESS) {
        move_counter(cache, &user);
    }
}

/* Only the loop writes it: a new odd number makes all that was kept before void. */
void gc_loop_cache_hears(gc_cache_t *cache, int hears)
{
    apr_uint32_t now = __atomic_load_n(&cache->hearing, __ATOMIC_RELAXED);

    if (hears || now % 2) {
        __atomic_store_n(&cache->hearing, hears ? (now | 1) + (now % 2 ? 2 : 0) : now + 1,
                         __ATOMIC_SEQ_CST);
    }
}

apr_status_t gc_cache_create(apr_pool_t *pool, const gc_cache_options_t *options,
                             gc_cache_t **cache)
{
    gc_cache_t *c = apr_pcalloc(pool, sizeof(*c));

    c->options = *options;
    *cache = c;
    return options->redis ? gc_near_create(pool, options->near_bytes, options->metrics, &c->near)
                          : APR_SUCCESS;
}
