/* SPDX-License-Identifier: Apache-2.0
 * What a host counts: in memory that its children share, told in the text format of Prometheus.
 *
 *   counters   only grow. They stand in a few stripes, of which each child adds to one, so that
 *              children do not take each other's cache lines. They outlive children and graceful
 *              restarts: children that end and others that begin may add to the same one.
 *   gauges     of a child, in a place that is its own while it lives; what one that was killed held
 *              goes with its place.
 *
 * Counting is an atomic addition or two, without lock or system call, on any thread. Where there is
 * nothing to count in (NULL) it does nothing.
 */
#ifndef GC_METRICS_H
#define GC_METRICS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "membuf.h"
#include "status.h"

typedef enum {
#define COUNTER(id, labels) GC_COUNT_##id,
#include "metric_list.h"
    GC_COUNTS
} gc_count_e;

typedef enum {
#define GAUGE(id, labels) GC_GAUGE_##id,
#include "metric_list.h"
    GC_GAUGES
} gc_gauge_e;

typedef enum {
#define SAMPLE(id, labels) GC_SAMPLE_##id,
#include "metric_list.h"
    GC_SAMPLES
} gc_sample_e;

typedef enum {
#define HISTOGRAM(id, name, bounds, help) GC_TIME_##id,
#include "metric_list.h"
    GC_TIMES
} gc_time_e;

/* --- The memory of a host ------------------------------------------------- */

/* Zeroed at first. What nobody counts in is never touched. */
typedef struct gc_metrics_shared_t gc_metrics_shared_t;
apr_size_t gc_metrics_size(void);

/* Once, when it was made. */
void gc_metrics_begin(gc_metrics_shared_t *shared, apr_time_t now);

/* A process takes a place for its gauges; -1: all are taken, and it counts without gauges. */
int gc_metrics_enter(gc_metrics_shared_t *shared, apr_uint32_t pid);

/* In the parent: a process is no more, whatever it died of. */
void gc_metrics_leave(gc_metrics_shared_t *shared, apr_uint32_t pid);

/* --- Counting ------------------------------------------------------------- */

/* What one site counts in, in this process. */
typedef struct gc_metrics_t gc_metrics_t;

/* Lives as long as the pool; NULL where a host has more sites than the memory holds. */
gc_metrics_t *gc_metrics_create(apr_pool_t *pool, gc_metrics_shared_t *shared, int place,
                                const char *site);

void gc_metrics_count(gc_metrics_t *metrics, gc_count_e what);
void gc_metrics_add(gc_metrics_t *metrics, gc_count_e what, apr_int64_t more);
void gc_metrics_change(gc_metrics_t *metrics, gc_gauge_e what, apr_int64_t by);
void gc_metrics_time(gc_metrics_t *metrics, gc_time_e what, apr_interval_time_t time);

enum { GC_METRICS_ROUTES = 160 };

/* A request has ended; route: its row among the labels that gc_metrics_render gets; time < 0: it is
 * not to be among those of requests. */
void gc_metrics_request(gc_metrics_t *metrics, int route, int status, apr_interval_time_t time);

/* --- Telling --------------------------------------------------------------- */

/* The sum over all children, and over all routes. */
apr_int64_t gc_metrics_counted(const gc_metrics_t *metrics, gc_count_e what);
apr_int64_t gc_metrics_held(const gc_metrics_t *metrics, gc_gauge_e what);
apr_int64_t gc_metrics_requests(const gc_metrics_t *metrics, int from_status, int to_status);

#define GC_METRICS_UNKNOWN APR_INT64_MIN

typedef struct gc_metrics_site_t {
    const char *name;
    const gc_metrics_t *metrics;
    apr_int64_t samples[GC_SAMPLES]; /* or GC_METRICS_UNKNOWN */
} gc_metrics_site_t;

typedef struct gc_metrics_view_t {
    const gc_metrics_site_t *sites;
    int site_count;
    const char *const *routes; /* their labels: route="/",method="GET" */
    int route_count;
    const char *version; /* of this module */
} gc_metrics_view_t;

#define GC_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all of it; the pool is scratch. APR_ENOMEM, APR_ENOSPC: out is not whole. */
GC_MUST_CHECK apr_status_t gc_metrics_render(apr_pool_t *pool, gc_membuf_t *out,
                                             const gc_metrics_shared_t *shared,
                                             const gc_metrics_view_t *view);

/* A label's value as it stands between quotes, in the pool. */
const char *gc_metrics_escape(apr_pool_t *pool, const char *value);

#endif
