/* SPDX-License-Identifier: Apache-2.0
 * How many replies a site owes.
 */
#include "backlog.h"

/* One sweep removes at most so many rows of each kind. */
enum { SWEEP_ROWS = 5000 };

/* All of it is read and written one member at a time, atomically: a reader may find some of
 * them a moment older than others, which no reader minds. */
typedef struct {
    apr_uint64_t site;   /* a hash of its name; 0: free */
    apr_int64_t changes; /* accepted less ended, since httpd was started */
    apr_int64_t basis;   /* what changes was when Postgres was asked last */
    gc_backlog_counts_t counts;
} slot_t;

enum { SLOTS = GC_BACKLOG_SHARED / sizeof(slot_t) };

struct gc_backlog_shared_t {
    slot_t slots[SLOTS];
};

struct gc_backlog_t {
    slot_t *slot;
    const char *site;
};

#define READ(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)
#define WRITE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELAXED)

/* FNV-1a; never 0. */
static apr_uint64_t hash(const char *text)
{
    apr_uint64_t hash = APR_UINT64_C(14695981039346656037);

    while (*text) {
        hash = (hash ^ (unsigned char)*text++) * APR_UINT64_C(1099511628211);
    }
    return hash ? hash : 1;
}

gc_backlog_t *gc_backlog_create(apr_pool_t *pool, gc_backlog_shared_t *shared, const char *site)
{
    apr_uint64_t wanted = hash(site);
    gc_backlog_t *b = apr_pcalloc(pool, sizeof(*b));
    size_t i;

    b->site = site;
    for (i = 0; i < SLOTS; i++) {
        apr_uint64_t found = 0;

        if (__atomic_compare_exchange_n(&shared->slots[i].site, &found, wanted, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)
            || found == wanted) {
            b->slot = &shared->slots[i];
            return b;
        }
    }
    return NULL;
}

void gc_backlog_add(gc_backlog_t *backlog, int replies)
{
    __atomic_add_fetch(&backlog->slot->changes, replies, __ATOMIC_RELAXED);
}

apr_int64_t gc_backlog_owed(const gc_backlog_t *backlog)
{
    const slot_t *slot = backlog->slot;
    apr_int64_t owed = READ(slot->counts.owed) + READ(slot->changes) - READ(slot->basis);

    return owed > 0 ? owed : 0;
}

void gc_backlog_counts(const gc_backlog_t *backlog, gc_backlog_counts_t *counts)
{
    const gc_backlog_counts_t *c = &backlog->slot->counts;

    counts->owed = gc_backlog_owed(backlog);
    counts->generating = READ(c->generating);
    counts->due = READ(c->due);
    counts->oldest = READ(c->oldest);
    counts->counted = READ(c->counted);
    counts->otps = READ(c->otps);
    counts->limits = READ(c->limits);
    counts->sessions = READ(c->sessions);
    counts->keys = READ(c->keys);
    counts->tickets = READ(c->tickets);
    counts->freed = READ(c->freed);
    counts->swept = READ(c->swept);
    counts->events = READ(c->events);
    counts->failing = READ(c->failing);
}

apr_status_t gc_backlog_count(gc_backlog_t *backlog, gc_db_t *db, apr_pool_t *pool)
{
    slot_t *slot = backlog->slot;
    apr_int64_t basis = READ(slot->changes);
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, backlog->site);
    rv = gc_db_run(db, pool, GC_SQL_JOBS_COUNT, &params, &rows);
    if (rv == APR_SUCCESS) {
        WRITE(slot->counts.owed, gc_db_int(rows, 0, 0, 0));
        WRITE(slot->basis, basis);
        WRITE(slot->counts.generating, gc_db_int(rows, 0, 1, 0));
        WRITE(slot->counts.due, gc_db_int(rows, 0, 2, 0));
        WRITE(slot->counts.oldest, gc_db_int(rows, 0, 3, 0));
        WRITE(slot->counts.counted, apr_time_now());
    }
    return rv;
}

void gc_backlog_note_events(gc_backlog_t *backlog, apr_int64_t events, apr_int64_t failing)
{
    WRITE(backlog->slot->counts.events, events);
    WRITE(backlog->slot->counts.failing, failing);
}

static void add_removed(slot_t *slot, const gc_db_result_t *rows)
{
    apr_int64_t *members[] = {&slot->counts.otps, &slot->counts.limits,  &slot->counts.sessions,
                              &slot->counts.keys, &slot->counts.tickets, &slot->counts.freed};
    int i;

    for (i = 0; i < (int)(sizeof(members) / sizeof(members[0])); i++) {
        __atomic_add_fetch(members[i], gc_db_int(rows, 0, i, 0), __ATOMIC_RELAXED);
    }
}

apr_status_t gc_backlog_sweep(gc_backlog_t *backlog, gc_db_t *db, apr_pool_t *pool, int *more)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    *more = 0;
    gc_db_add_int(&params, SWEEP_ROWS);
    rv = gc_db_run(db, pool, GC_SQL_SWEEP, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 1) {
        add_removed(backlog->slot, rows);
        *more = gc_db_bool(rows, 0, 6);
        WRITE(backlog->slot->counts.swept, apr_time_now());
    }
    return rv;
}
