/* SPDX-License-Identifier: Apache-2.0
 * Which sessions have ended.
 */
#include "ended.h"

#include <apr_thread_rwlock.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

typedef struct {
    gc_uuid_t session;
    apr_time_t until; /* 0: the place is empty */
} place_t;

/* Open addressing: a session stands at the first place that was free from where it belongs. Half of
 * the places at least are empty. None is emptied by itself; what is past is left behind when a
 * larger table is made. */
struct gc_ended_t {
    apr_thread_rwlock_t *lock;
    place_t *places;
    apr_size_t size; /* a power of two */
    apr_size_t count;
};

static apr_status_t free_cb(void *baton)
{
    free(((gc_ended_t *)baton)->places);
    return APR_SUCCESS;
}

static place_t *make_places(apr_size_t size)
{
    place_t *places = calloc(size, sizeof(*places));

    if (!places) {
        abort();
    }
    return places;
}

apr_status_t gc_ended_create(apr_pool_t *pool, gc_ended_t **ended)
{
    gc_ended_t *e = apr_pcalloc(pool, sizeof(*e));
    apr_status_t rv = apr_thread_rwlock_create(&e->lock, pool);

    if (rv == APR_SUCCESS) {
        e->size = FIRST_SIZE;
        e->places = make_places(e->size);
        apr_pool_cleanup_register(pool, e, free_cb, apr_pool_cleanup_null);
        *ended = e;
    }
    return rv;
}

/* A session's place, or the empty one where it would stand. Ids are random: any part of one is as
 * good as a hash. */
static place_t *find(const gc_ended_t *e, const gc_uuid_t *session)
{
    apr_size_t at;

    memcpy(&at, session->bytes, sizeof(at));
    at &= e->size - 1;
    while (e->places[at].until && !gc_uuid_equal(&e->places[at].session, session)) {
        at = (at + 1) & (e->size - 1);
    }
    return &e->places[at];
}

static void put(gc_ended_t *e, const gc_uuid_t *session, apr_time_t until)
{
    place_t *place = find(e, session);

    e->count += !place->until;
    place->session = *session;
    place->until = until > place->until ? until : place->until;
}

/* Of a size that fits what is not past. */
static void renew(gc_ended_t *e)
{
    place_t *old = e->places;
    apr_size_t size = e->size, live = 0, i;
    apr_time_t now = apr_time_now();

    for (i = 0; i < size; i++) {
        live += old[i].until > now;
    }
    e->size = FIRST_SIZE;
    while (e->size < 4 * (live + 1)) {
        e->size *= 2;
    }
    e->places = make_places(e->size);
    e->count = 0;
    for (i = 0; i < size; i++) {
        if (old[i].until > now) {
            put(e, &old[i].session, old[i].until);
        }
    }
    free(old);
}

void gc_ended_add(gc_ended_t *ended, const gc_uuid_t *session, apr_time_t until)
{
    apr_thread_rwlock_wrlock(ended->lock);
    if (2 * (ended->count + 1) > ended->size) {
        renew(ended);
    }
    put(ended, session, until);
    apr_thread_rwlock_unlock(ended->lock);
}

int gc_ended_has(gc_ended_t *ended, const gc_uuid_t *session)
{
    int has;

    apr_thread_rwlock_rdlock(ended->lock);
    has = find(ended, session)->until != 0;
    apr_thread_rwlock_unlock(ended->lock);
    return has;
}
