/* SPDX-License-Identifier: Apache-2.0
 * How many replies a site owes: what a host refuses further prompts by, and what its status
 * page shows.
 *
 * The children of a host know it together, in memory that they share. One of them counts in
 * Postgres every second (gc_backlog_count); in between each adds what it accepts and takes off
 * what it ends. So the number is exact for one host, but for what is stored or ended in the moment
 * of counting and added or taken off after it, which counts twice until the next time; and it is a
 * second behind for what others do.
 * Asking costs no statement: a site that is overloaded is not loaded further by what it refuses.
 */
#ifndef GC_BACKLOG_H
#define GC_BACKLOG_H

#include "db.h"

/* Bytes of shared memory, zeroed at first. */
enum { GC_BACKLOG_SHARED = 8192 };

typedef struct gc_backlog_shared_t gc_backlog_shared_t;
typedef struct gc_backlog_t gc_backlog_t;

/* What was counted, and what sweeps have removed on this host since httpd was started. */
typedef struct gc_backlog_counts_t {
    apr_int64_t owed, generating, due; /* due: those that a process may take at once */
    apr_interval_time_t oldest;        /* how long the one that is due for longest has been */
    apr_time_t counted;                /* 0: never yet */
    apr_int64_t otps, limits, sessions, keys, tickets, freed;
    apr_time_t swept; /* 0: never yet */
    apr_int64_t events,
        failing; /* Stripe's that are not worked off, and those of them that have failed */
} gc_backlog_counts_t;

/* Lives as long as the pool; NULL where a host has more sites than the memory holds. */
gc_backlog_t *gc_backlog_create(apr_pool_t *pool, gc_backlog_shared_t *shared, const char *site);

/* Any thread, as everything here. Replies that were accepted (positive) or have ended. */
void gc_backlog_add(gc_backlog_t *backlog, int replies);

/* How many are owed, as far as is known. */
apr_int64_t gc_backlog_owed(const gc_backlog_t *backlog);

void gc_backlog_counts(const gc_backlog_t *backlog, gc_backlog_counts_t *counts);

/* What is known of Stripe's events. */
void gc_backlog_note_events(gc_backlog_t *backlog, apr_int64_t events, apr_int64_t failing);

/* One process of the host at a time: counts anew. */
GC_MUST_CHECK apr_status_t gc_backlog_count(gc_backlog_t *backlog, gc_db_t *db, apr_pool_t *pool);

/* One process of the host at a time: removes what is past and mends the queue, a bounded part of
 * it; *more tells whether that was not all. See sql/deploy/sweep.sql. Where another host is at it,
 * nothing is done. */
GC_MUST_CHECK apr_status_t gc_backlog_sweep(gc_backlog_t *backlog, gc_db_t *db, apr_pool_t *pool,
                                            int *more);

#endif
