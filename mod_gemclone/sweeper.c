/* SPDX-License-Identifier: Apache-2.0
 * What one process of a host does for all.
 */
#include "sweeper.h"

#include <apr_optional.h>
#include <mod_watchdog.h>
#include <pthread.h>

#include "service.h"

#define WATCHDOG "_gemclone_"

/* What is owed is counted so often. */
#define BEAT apr_time_from_sec(1)

/* Jobs that are due for longer are worth a word in the log, once in so long. */
#define LATE apr_time_from_sec(60)

/* mod_watchdog's thread may outlive pchild, in which all is that a beat uses. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* held for a beat; guards what follows */
static int is_running;

static void tell_late(gc_service_t *s)
{
    gc_backlog_counts_t counts;
    apr_time_t now = apr_time_now();

    gc_backlog_counts(s->backlog, &counts);
    if (counts.oldest > LATE && now - s->told_late > LATE) {
        s->told_late = now;
        gc_log(&s->log, GEM0413, "site %s: %" APR_INT64_T_FMT " jobs are due, the oldest for %d s",
               s->config->site, counts.due, (int)apr_time_sec(counts.oldest));
    }
}

/* What is more than one statement removes goes with the next beats. */
static void sweep(gc_service_t *s, apr_pool_t *pool)
{
    gc_backlog_counts_t before, after;
    int more = 0;

    gc_backlog_counts(s->backlog, &before);
    if (gc_backlog_sweep(s->backlog, s->db, pool, &more) != APR_SUCCESS) {
        return; /* store has logged why */
    }
    s->swept = more ? 0 : apr_time_now();
    gc_backlog_counts(s->backlog, &after);
    if (after.swept != before.swept) {
        gc_log(&s->log, GEM0414,
               "swept: %" APR_INT64_T_FMT " codes, %" APR_INT64_T_FMT " limits, %" APR_INT64_T_FMT
               " sessions, %" APR_INT64_T_FMT " keys, %" APR_INT64_T_FMT
               " tickets; %" APR_INT64_T_FMT " jobs freed",
               after.otps - before.otps, after.limits - before.limits,
               after.sessions - before.sessions, after.keys - before.keys,
               after.tickets - before.tickets, after.freed - before.freed);
    }
}

/* So many at a time: each is a call of Stripe. */
enum { DOUBTS = 100 };

static void count_events(gc_service_t *s, apr_pool_t *pool)
{
    apr_int64_t events, failing;

    if (s->stripe_secrets && gc_billing_count(s->db, pool, &events, &failing) == APR_SUCCESS) {
        gc_backlog_note_events(s->backlog, events, failing);
    }
}

static void doubt(gc_service_t *s, apr_pool_t *pool)
{
    int count;

    if (s->stripe_secrets && gc_billing_doubt(s->db, pool, DOUBTS, &count) == APR_SUCCESS
        && count) {
        gc_log(&s->log, GEM0706, "%d subscriptions are asked about: no event tells how they go on",
               count);
    }
}

static void beat(apr_pool_t *pool)
{
    const apr_array_header_t *services = gc_services();
    int i;

    for (i = 0; services && i < services->nelts; i++) {
        gc_service_t *s = APR_ARRAY_IDX(services, i, gc_service_t *);

        if (gc_backlog_count(s->backlog, s->db, pool) == APR_SUCCESS) {
            tell_late(s);
            count_events(s, pool);
            if (apr_time_now() - s->swept > s->config->sweep) {
                sweep(s, pool);
                doubt(s, pool);
            }
        }
    }
}

/* On a thread of mod_watchdog's, of the one process that has the turn. */
static apr_status_t beat_cb(int state, void *data, apr_pool_t *pool)
{
    (void)data;
    pthread_mutex_lock(&mutex);
    if (state == AP_WATCHDOG_STATE_RUNNING && is_running) {
        beat(pool);
    }
    pthread_mutex_unlock(&mutex);
    return APR_SUCCESS;
}

static apr_status_t stop_cb(void *baton)
{
    (void)baton;
    pthread_mutex_lock(&mutex); /* waits for a beat to end: as long as two statements may take */
    is_running = 0;
    pthread_mutex_unlock(&mutex);
    return APR_SUCCESS;
}

void gc_sweeper_start(apr_pool_t *pchild)
{
    pthread_mutex_lock(&mutex);
    is_running = 1;
    pthread_mutex_unlock(&mutex);
    apr_pool_pre_cleanup_register(pchild, NULL, stop_cb);
}

apr_status_t gc_sweeper_prepare(apr_pool_t *pconf)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv;

    if (!get || !add) {
        return APR_ENOTIMPL;
    }
    rv = get(&watchdog, WATCHDOG, 0, 1, pconf);
    return rv == APR_SUCCESS ? add(watchdog, BEAT, NULL, beat_cb) : rv;
}
