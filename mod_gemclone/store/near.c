/* SPDX-License-Identifier: Apache-2.0
 * A child's own copies of small answers.
 */
#include "near.h"

#include <apr_ring.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>

/* So many threads can be at work in it without waiting for each other. */
enum { SHARDS = 16, BUCKETS = 1024 };

typedef struct entry_t entry_t;
struct entry_t {
    APR_RING_ENTRY(entry_t) used; /* in the shard's order of use */
    entry_t *next;                /* in its bucket */
    gc_near_key_t key;
    apr_time_t expires;
    apr_size_t len;
    char body[];
};

typedef struct {
    apr_thread_mutex_t *mutex;
    APR_RING_HEAD(order_t, entry_t) order; /* the least recently used first */
    entry_t *buckets[BUCKETS];
    apr_size_t bytes;
} shard_t;

struct gc_near_t {
    apr_size_t bytes; /* a shard's bound */
    gc_metrics_t *metrics;
    shard_t shards[SHARDS];
};

/* User ids are random: any of their bytes spread well. */
static shard_t *shard_of(gc_near_t *near, const gc_near_key_t *key)
{
    return &near->shards[key->user.bytes[15] % SHARDS];
}

static entry_t **bucket_of(shard_t *shard, const gc_near_key_t *key)
{
    unsigned hash = key->user.bytes[14] | (unsigned)key->user.bytes[13] << 8;

    return &shard->buckets[(hash + (unsigned)key->kind) % BUCKETS];
}

/* Where the pointer to the entry stands, or where one would be put. */
static entry_t **find(shard_t *shard, const gc_near_key_t *key)
{
    entry_t **at = bucket_of(shard, key);

    while (*at && ((*at)->key.kind != key->kind || !gc_uuid_equal(&(*at)->key.user, &key->user))) {
        at = &(*at)->next;
    }
    return at;
}

static void note_size(const gc_near_t *near, int entries, const entry_t *entry)
{
    apr_int64_t bytes = (apr_int64_t)(sizeof(*entry) + entry->len);

    gc_metrics_change(near->metrics, GC_GAUGE_NEAR_ENTRIES, entries);
    gc_metrics_change(near->metrics, GC_GAUGE_NEAR_BYTES, entries * bytes);
}

static void drop(const gc_near_t *near, shard_t *shard, entry_t **at)
{
    entry_t *entry = *at;

    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): whoever calls has found one */
    *at = entry->next;
    APR_RING_REMOVE(entry, used);
    shard->bytes -= sizeof(*entry) + entry->len;
    note_size(near, -1, entry);
    free(entry);
}

int gc_near_get(gc_near_t *near, apr_pool_t *pool, const gc_near_key_t *key, const char **body,
                apr_size_t *len)
{
    shard_t *shard = shard_of(near, key);
    entry_t *entry;
    int hit;

    apr_thread_mutex_lock(shard->mutex);
    entry = *find(shard, key);
    hit = entry && entry->key.stamp == key->stamp && entry->expires > apr_time_now();
    if (hit) {
        *body = apr_pstrmemdup(pool, entry->body, entry->len);
        *len = entry->len;
        APR_RING_REMOVE(entry, used);
        APR_RING_INSERT_TAIL(&shard->order, entry, entry_t, used);
    }
    apr_thread_mutex_unlock(shard->mutex);
    return hit;
}

void gc_near_put(gc_near_t *near, const gc_near_key_t *key, const char *body, apr_size_t len,
                 apr_time_t expires)
{
    shard_t *shard = shard_of(near, key);
    entry_t *entry, **at;

    if (sizeof(*entry) + len > near->bytes || len > near->bytes / 8
        || !(entry = malloc(sizeof(*entry) + len))) {
        return;
    }
    entry->key = *key;
    entry->expires = expires;
    entry->len = len;
    memcpy(entry->body, body, len);

    apr_thread_mutex_lock(shard->mutex);
    at = find(shard, key);
    if (*at) {
        drop(near, shard, at);
    }
    while (shard->bytes + sizeof(*entry) + len > near->bytes) {
        drop(near, shard, find(shard, &APR_RING_FIRST(&shard->order)->key));
    }
    at = bucket_of(shard, key);
    entry->next = *at;
    *at = entry;
    APR_RING_INSERT_TAIL(&shard->order, entry, entry_t, used);
    shard->bytes += sizeof(*entry) + len;
    note_size(near, 1, entry);
    apr_thread_mutex_unlock(shard->mutex);
}

static apr_status_t destroy_cb(void *baton)
{
    gc_near_t *near = baton;
    int i;

    for (i = 0; i < SHARDS; i++) {
        shard_t *shard = &near->shards[i];

        while (!APR_RING_EMPTY(&shard->order, entry_t, used)) {
            drop(near, shard, find(shard, &APR_RING_FIRST(&shard->order)->key));
        }
    }
    return APR_SUCCESS;
}

apr_status_t gc_near_create(apr_pool_t *pool, apr_size_t bytes, gc_metrics_t *metrics,
                            gc_near_t **near)
{
    gc_near_t *n = apr_pcalloc(pool, sizeof(*n));
    apr_status_t rv;
    int i;

    n->bytes = bytes / SHARDS;
    n->metrics = metrics;
    for (i = 0; i < SHARDS; i++) {
        APR_RING_INIT(&n->shards[i].order, entry_t, used);
        rv = apr_thread_mutex_create(&n->shards[i].mutex, APR_THREAD_MUTEX_DEFAULT, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    apr_pool_cleanup_register(pool, n, destroy_cb, apr_pool_cleanup_null);
    *near = n;
    return APR_SUCCESS;
}
