/* SPDX-License-Identifier: Apache-2.0
 * Answers that are kept per user, right after every change.
 *
 * Three places: this child's memory (near.h), Redis, and Postgres, which is the
 * truth. What keeps the first two honest:
 *
 * - A counter per user in memory that all children of this host share. Whoever
 *   changes something of a user's moves it before answering, and an entry is
 *   good only under the count that was read before the truth was: no child of
 *   this host ever serves what was true before a change that it was told of.
 * - A random version per user in Redis, new after each change. Values carry the
 *   version that was current before they were read, and are good under no other.
 * - Each child hears of new versions (CLIENT TRACKING, tracking.h), and moves
 *   the counter: another host's near copies are gone within milliseconds. While
 *   a child is not sure to hear of them, it keeps no near copies.
 *
 * A change that Redis could not be told of makes this host pass Redis by until
 * everything kept there is over its time; other hosts may serve what they find
 * there for that long: at most `ttl`.
 */
#ifndef GC_CACHE_H
#define GC_CACHE_H

#include "near.h"
#include "redis.h"

typedef enum { GC_CACHE_USER, GC_CACHE_CHATROOMS, GC_CACHE_TIER } gc_cache_kind_e;

/* In memory that the children of a host share: zeroed, of GC_CACHE_SHARED bytes. */
typedef struct gc_cache_shared_t gc_cache_shared_t;
#define GC_CACHE_COUNTERS 65536
#define GC_CACHE_SHARED (sizeof(apr_uint64_t) + GC_CACHE_COUNTERS * sizeof(apr_uint32_t))

typedef struct gc_cache_options_t {
    gc_redis_t *redis; /* or NULL: nothing is kept at all */
    gc_cache_shared_t *shared;
    gc_metrics_t *metrics; /* or NULL */
    const char *prefix;    /* of all keys in Redis */
    apr_interval_time_t ttl;
    apr_size_t near_bytes;
} gc_cache_options_t;

typedef struct gc_cache_t gc_cache_t;

/* Freed with the pool. All functions may be called from any thread that may
 * block, those called gc_loop_ from the loop only. */
GC_MUST_CHECK apr_status_t gc_cache_create(apr_pool_t *pool, const gc_cache_options_t *options,
                                           gc_cache_t **cache);

/* Where an answer that was not found belongs once it was made. */
typedef struct gc_cache_slot_t {
    gc_near_key_t near;
    const char *version; /* NULL: nowhere, since Redis' word is missing */
} gc_cache_slot_t;

/* Returns whether there was an answer; *body is in the pool. If not, slot is
 * filled in: read the truth after this, and put it. */
int gc_cache_get(gc_cache_t *cache, apr_pool_t *pool, gc_cache_kind_e kind, const gc_uuid_t *user,
                 const char **body, apr_size_t *len, gc_cache_slot_t *slot);

void gc_cache_put(gc_cache_t *cache, apr_pool_t *pool, const gc_cache_slot_t *slot,
                  const char *body, apr_size_t len);

/* Something of the user's has changed, or may have: call it after the change
 * and before anybody is told. */
void gc_cache_forget(gc_cache_t *cache, apr_pool_t *pool, const gc_uuid_t *user);

/* What tracking.h calls: a key under the prefix has changed (NULL: any of them
 * may have), and whether changes are heard of. */
void gc_loop_cache_changed(gc_cache_t *cache, const char *key, apr_size_t len);
void gc_loop_cache_hears(gc_cache_t *cache, int hears);

/* The prefix of the keys whose changes must be heard of, in the pool. */
const char *gc_cache_version_prefix(const gc_cache_t *cache, apr_pool_t *pool);

#endif
