/* SPDX-License-Identifier: Apache-2.0
 * What a host counts.
 */
#include "metrics.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

/* STRIPES: more children than that share some. */
enum { STRIPES = 8, SITES = 64, PLACES = 512, BOUNDS = 13 };

/* --- Statuses --------------------------------------------------------------- */

/* Those that a request may end with; the last one stands for any other. */
/* clang-format off */
#define STATUSES(X)                                                                                \
    X(200) X(201) X(202) X(204) X(206) X(301) X(302) X(304) X(308) X(400) X(401) X(403) X(404)     \
    X(405) X(406) X(408) X(409) X(411) X(412) X(413) X(414) X(415) X(416) X(417) X(421) X(422)     \
    X(429) X(431) X(500) X(501) X(502) X(503) X(504) X(0)
/* clang-format on */

enum {
#define X(status) STATUS_##status,
    STATUSES(X)
#undef X
        STATUS_COUNT
};

static const int statuses[] = {
#define X(status) status,
    STATUSES(X)
#undef X
};

/* Where a status stands in these, and one more; 0: it is another one. */
static const unsigned char places[600] = {
#define X(status) [status] = STATUS_##status + 1,
    STATUSES(X)
#undef X
};

static int place_of(int status)
{
    int known = status > 0 && status < (int)sizeof(places) ? places[status] : 0;

    return known ? known - 1 : STATUS_0;
}

/* --- Times -------------------------------------------------------------------- */

typedef struct {
    const char *text; /* in seconds */
    apr_interval_time_t most;
} bound_t;

static const bound_t fast[BOUNDS] = {
    {"0.001", 1000},  {"0.0025", 2500}, {"0.005", 5000},  {"0.01", 10000}, {"0.025", 25000},
    {"0.05", 50000},  {"0.1", 100000},  {"0.25", 250000}, {"0.5", 500000}, {"1", 1000000},
    {"2.5", 2500000}, {"5", 5000000},   {"10", 10000000},
};

static const bound_t slow[BOUNDS] = {
    {"0.1", 100000},      {"0.25", 250000},   {"0.5", 500000},    {"1", 1000000},
    {"2.5", 2500000},     {"5", 5000000},     {"10", 10000000},   {"30", 30000000},
    {"60", 60000000},     {"120", 120000000}, {"300", 300000000}, {"600", 600000000},
    {"1800", 1800000000},
};

static const bound_t *const bounds_of[GC_TIMES] = {
#define HISTOGRAM(id, name, bounds, help) [GC_TIME_##id] = (bounds),
#include "metric_list.h"
};

/* Each time is counted in one bucket; the last one has what is above all bounds. */
typedef struct {
    apr_int64_t buckets[BOUNDS + 1], sum;
} times_t;

/* --- The memory ------------------------------------------------------------- */

/* Of one site in one stripe. */
typedef struct {
    apr_int64_t counts[GC_COUNTS];
    times_t times[GC_TIMES];
    apr_int64_t requests[GC_METRICS_ROUTES][STATUS_COUNT];
    times_t request_times[GC_METRICS_ROUTES];
} __attribute__((aligned(64))) block_t;

/* Of one site in one process. */
typedef struct {
    apr_int64_t gauges[GC_GAUGES];
} __attribute__((aligned(64))) held_t;

/* All of it is read and written one number at a time, atomically. */
struct gc_metrics_shared_t {
    apr_time_t begun;
    apr_uint64_t sites[SITES]; /* hashes of their names; 0: free */
    apr_uint32_t pids[PLACES]; /* whose place it is; 0: nobody's */
    block_t stripes[STRIPES][SITES];
    held_t held[PLACES][SITES];
};

struct gc_metrics_t {
    gc_metrics_shared_t *shared;
    int site;
    block_t *block;      /* what this process adds to */
    apr_int64_t *gauges; /* or NULL: it has no place */
};

apr_size_t gc_metrics_size(void)
{
    return sizeof(gc_metrics_shared_t);
}

void gc_metrics_begin(gc_metrics_shared_t *shared, apr_time_t now)
{
    shared->begun = now;
}

static apr_int64_t get(const apr_int64_t *number)
{
    return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static void add(apr_int64_t *number, apr_int64_t more)
{
    __atomic_add_fetch(number, more, __ATOMIC_RELAXED);
}

/* A process of that number may have ended without a word. */
static int take_place(apr_uint32_t *place, apr_uint32_t pid)
{
    apr_uint32_t found = __atomic_load_n(place, __ATOMIC_ACQUIRE);

    return (found == 0 || found == pid)
           && __atomic_compare_exchange_n(place, &found, pid, 0, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED);
}

/* What was held by who had it before. */
static void clear_place(gc_metrics_shared_t *shared, int place)
{
    int site, i;

    for (site = 0; site < SITES && shared->sites[site]; site++) {
        for (i = 0; i < GC_GAUGES; i++) {
            __atomic_store_n(&shared->held[place][site].gauges[i], 0, __ATOMIC_RELAXED);
        }
    }
}

int gc_metrics_enter(gc_metrics_shared_t *shared, apr_uint32_t pid)
{
    int i;

    for (i = 0; i < PLACES; i++) {
        if (take_place(&shared->pids[i], pid)) {
            clear_place(shared, i);
            return i;
        }
    }
    return -1;
}

void gc_metrics_leave(gc_metrics_shared_t *shared, apr_uint32_t pid)
{
    int i;

    for (i = 0; i < PLACES; i++) {
        apr_uint32_t found = pid;

        __atomic_compare_exchange_n(&shared->pids[i], &found, 0, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
    }
}

/* FNV-1a; never 0. */
static apr_uint64_t hash(const char *text)
{
    apr_uint64_t hash = APR_UINT64_C(14695981039346656037);

    while (*text) {
        hash = (hash ^ (unsigned char)*text++) * APR_UINT64_C(1099511628211);
    }
    return hash ? hash : 1;
}

static int site_of(gc_metrics_shared_t *shared, const char *name)
{
    apr_uint64_t wanted = hash(name);
    int i;

    for (i = 0; i < SITES; i++) {
        apr_uint64_t found = 0;

        if (__atomic_compare_exchange_n(&shared->sites[i], &found, wanted, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)
            || found == wanted) {
            return i;
        }
    }
    return -1;
}

gc_metrics_t *gc_metrics_create(apr_pool_t *pool, gc_metrics_shared_t *shared, int place,
                                const char *site)
{
    gc_metrics_t *m = apr_pcalloc(pool, sizeof(*m));

    m->shared = shared;
    m->site = site_of(shared, site);
    if (m->site < 0) {
        return NULL;
    }
    m->block = &shared->stripes[(place < 0 ? 0 : place) % STRIPES][m->site];
    m->gauges = place < 0 ? NULL : shared->held[place][m->site].gauges;
    return m;
}

/* --- Counting --------------------------------------------------------------- */

void gc_metrics_add(gc_metrics_t *metrics, gc_count_e what, apr_int64_t more)
{
    if (metrics) {
        add(&metrics->block->counts[what], more);
    }
}

void gc_metrics_count(gc_metrics_t *metrics, gc_count_e what)
{
    gc_metrics_add(metrics, what, 1);
}

void gc_metrics_change(gc_metrics_t *metrics, gc_gauge_e what, apr_int64_t by)
{
    if (metrics && metrics->gauges) {
        add(&metrics->gauges[what], by);
    }
}

/* A clock that is set back makes no time shorter than none. */
static void add_time(times_t *times, const bound_t *bounds, apr_interval_time_t time)
{
    int i = 0;

    while (i < BOUNDS && time > bounds[i].most) {
        i++;
    }
    add(&times->buckets[i], 1);
    add(&times->sum, time > 0 ? time : 0);
}

void gc_metrics_time(gc_metrics_t *metrics, gc_time_e what, apr_interval_time_t time)
{
    if (metrics) {
        add_time(&metrics->block->times[what], bounds_of[what], time);
    }
}

void gc_metrics_request(gc_metrics_t *metrics, int route, int status, apr_interval_time_t time)
{
    if (metrics) {
        add(&metrics->block->requests[route][place_of(status)], 1);
        if (time >= 0) {
            add_time(&metrics->block->request_times[route], fast, time);
        }
    }
}

/* --- Sums ------------------------------------------------------------------- */

/* Over all stripes, of a number that stands in each at the same place. */
static apr_int64_t sum_at(const gc_metrics_t *m, apr_size_t offset)
{
    apr_int64_t sum = 0;
    int i;

    for (i = 0; i < STRIPES; i++) {
        const char *block = (const char *)&m->shared->stripes[i][m->site];

        sum += get((const apr_int64_t *)(block + offset));
    }
    return sum;
}

apr_int64_t gc_metrics_counted(const gc_metrics_t *metrics, gc_count_e what)
{
    return metrics ? sum_at(metrics, offsetof(block_t, counts[0]) + what * sizeof(apr_int64_t)) : 0;
}

apr_int64_t gc_metrics_held(const gc_metrics_t *metrics, gc_gauge_e what)
{
    apr_int64_t sum = 0;
    int i;

    for (i = 0; metrics && i < PLACES; i++) {
        if (__atomic_load_n(&metrics->shared->pids[i], __ATOMIC_ACQUIRE)) {
            sum += get(&metrics->shared->held[i][metrics->site].gauges[what]);
        }
    }
    return sum;
}

static apr_int64_t requests_of(const gc_metrics_t *m, int route, int place)
{
    int i = route * STATUS_COUNT + place;

    return sum_at(m, offsetof(block_t, requests) + (apr_size_t)i * sizeof(apr_int64_t));
}

apr_int64_t gc_metrics_requests(const gc_metrics_t *metrics, int from_status, int to_status)
{
    apr_int64_t sum = 0;
    int route, i;

    for (i = 0; metrics && i < STATUS_COUNT; i++) {
        if (statuses[i] >= from_status && statuses[i] <= to_status) {
            for (route = 0; route < GC_METRICS_ROUTES; route++) {
                sum += requests_of(metrics, route, i);
            }
        }
    }
    return sum;
}

/* --- Text ------------------------------------------------------------------- */

const char *gc_metrics_escape(apr_pool_t *pool, const char *value)
{
    char *escaped = apr_palloc(pool, 2 * strlen(value) + 1), *to = escaped;

    for (; *value; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n') {
            *to++ = '\\';
        }
        *to++ = (char)(*value == '\n' ? 'n' : *value);
    }
    *to = '\0';
    return escaped;
}

typedef struct {
    gc_membuf_t *out;
    const gc_metrics_view_t *view;
    const char *const *names; /* of the sites, escaped */
    apr_status_t status;
} writer_t;

static void put(writer_t *w, const char *text)
{
    if (w->status == APR_SUCCESS) {
        w->status = gc_membuf_append(w->out, text, strlen(text));
    }
}

static void put_number(writer_t *w, apr_int64_t number)
{
    char text[24];

    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, number);
    put(w, text);
}

static void put_seconds(writer_t *w, apr_int64_t time)
{
    char text[32];

    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT ".%06d", time / APR_USEC_PER_SEC,
                 (int)(time % APR_USEC_PER_SEC));
    put(w, text);
}

static void put_head(writer_t *w, const char *type, const char *name, const char *help)
{
    put(w, "# HELP ");
    put(w, name);
    put(w, " ");
    put(w, help);
    put(w, "\n# TYPE ");
    put(w, name);
    put(w, " ");
    put(w, type);
    put(w, "\n");
}

/* Up to where another label may follow. */
static void put_name(writer_t *w, const char *name, const char *suffix, int site,
                     const char *labels)
{
    put(w, name);
    put(w, suffix);
    put(w, "{site=\"");
    put(w, w->names[site]);
    put(w, *labels ? "\"," : "\"");
    put(w, labels);
}

static void put_series(writer_t *w, const char *name, int site, const char *labels,
                       apr_int64_t number)
{
    put_name(w, name, "", site, labels);
    put(w, "} ");
    put_number(w, number);
    put(w, "\n");
}

/* The count is that of the buckets, which are added up here: it fits them whatever is counted
 * meanwhile. */
static void put_times(writer_t *w, const char *name, const bound_t *bounds, int site,
                      const char *labels, apr_size_t offset)
{
    const gc_metrics_t *m = w->view->sites[site].metrics;
    apr_int64_t count = 0;
    int i;

    for (i = 0; i <= BOUNDS; i++) {
        count += sum_at(m, offset + offsetof(times_t, buckets) + (apr_size_t)i * sizeof(count));
        put_name(w, name, "_bucket", site, labels);
        put(w, ",le=\"");
        put(w, i < BOUNDS ? bounds[i].text : "+Inf");
        put(w, "\"} ");
        put_number(w, count);
        put(w, "\n");
    }
    put_name(w, name, "_sum", site, labels);
    put(w, "} ");
    put_seconds(w, sum_at(m, offset + offsetof(times_t, sum)));
    put(w, "\n");
    put_name(w, name, "_count", site, labels);
    put(w, "} ");
    put_number(w, count);
    put(w, "\n");
}

/* Only what was ever there: most routes never end with most statuses. */
static void put_requests(writer_t *w, const char *name, int site)
{
    int route, i;

    for (route = 0; route < w->view->route_count; route++) {
        for (i = 0; i < STATUS_COUNT; i++) {
            apr_int64_t count = requests_of(w->view->sites[site].metrics, route, i);
            char status[32] = ",status=\"other\"";

            if (count == 0) {
                continue;
            }
            if (statuses[i]) {
                apr_snprintf(status, sizeof(status), ",status=\"%d\"", statuses[i]);
            }
            put_name(w, name, "", site, w->view->routes[route]);
            put(w, status);
            put(w, "} ");
            put_number(w, count);
            put(w, "\n");
        }
    }
}

static int has_ended_requests(const writer_t *w, int site, int route)
{
    int i;

    for (i = 0; i < STATUS_COUNT; i++) {
        if (requests_of(w->view->sites[site].metrics, route, i)) {
            return 1;
        }
    }
    return 0;
}

static void put_request_times(writer_t *w, const char *name, int site)
{
    int route;

    for (route = 0; route < w->view->route_count; route++) {
        if (has_ended_requests(w, site, route)) {
            put_times(w, name, fast, site, w->view->routes[route],
                      offsetof(block_t, request_times) + (apr_size_t)route * sizeof(times_t));
        }
    }
}

/* --- The list, line by line ------------------------------------------------ */

typedef enum {
    IS_FAMILY,
    IS_COUNTER,
    IS_GAUGE,
    IS_SAMPLE,
    IS_HISTOGRAM,
    IS_REQUESTS,
    IS_TIMES
} line_e;

typedef struct {
    line_e kind;
    int index;
    const char *name, *help; /* of what has a head */
    const char *text;        /* a type, or labels */
} line_t;

static const line_t lines[] = {
#define FAMILY(type, name, help) {IS_FAMILY, 0, name, help, #type},
#define COUNTER(id, labels) {IS_COUNTER, GC_COUNT_##id, NULL, NULL, labels},
#define GAUGE(id, labels) {IS_GAUGE, GC_GAUGE_##id, NULL, NULL, labels},
#define SAMPLE(id, labels) {IS_SAMPLE, GC_SAMPLE_##id, NULL, NULL, labels},
#define HISTOGRAM(id, name, bounds, help) {IS_HISTOGRAM, GC_TIME_##id, name, help, "histogram"},
#define REQUESTS(name, help) {IS_REQUESTS, 0, name, help, "counter"},
#define REQUEST_TIMES(name, help) {IS_TIMES, 0, name, help, "histogram"},
#include "metric_list.h"
};

static void put_line_of(writer_t *w, const char *name, const line_t *line, int site)
{
    const gc_metrics_site_t *s = &w->view->sites[site];

    switch (line->kind) {
    case IS_COUNTER:
        put_series(w, name, site, line->text, gc_metrics_counted(s->metrics, line->index));
        break;
    case IS_GAUGE:
        put_series(w, name, site, line->text, gc_metrics_held(s->metrics, line->index));
        break;
    case IS_SAMPLE:
        if (s->samples[line->index] != GC_METRICS_UNKNOWN) {
            put_series(w, name, site, line->text, s->samples[line->index]);
        }
        break;
    case IS_HISTOGRAM:
        put_times(w, name, bounds_of[line->index], site, "",
                  offsetof(block_t, times) + (apr_size_t)line->index * sizeof(times_t));
        break;
    case IS_REQUESTS:
        put_requests(w, name, site);
        break;
    case IS_TIMES:
        put_request_times(w, name, site);
        break;
    case IS_FAMILY:
        break;
    }
}

static void put_lines(writer_t *w)
{
    const char *name = NULL;
    size_t i;
    int site;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (lines[i].name) {
            name = lines[i].name;
            put_head(w, lines[i].text, name, lines[i].help);
        }
        for (site = 0; site < w->view->site_count; site++) {
            put_line_of(w, name, &lines[i], site);
        }
    }
}

static apr_int64_t count_places(const gc_metrics_shared_t *shared)
{
    apr_int64_t count = 0;
    int i;

    for (i = 0; i < PLACES; i++) {
        count += __atomic_load_n(&shared->pids[i], __ATOMIC_RELAXED) != 0;
    }
    return count;
}

static void put_facts(writer_t *w, const gc_metrics_shared_t *shared, const char *version)
{
    put_head(w, "gauge", "gemclone_build_info", "1, of this version.");
    put(w, "gemclone_build_info{version=\"");
    put(w, version);
    put(w, "\"} 1\n");
    put_head(w, "gauge", "gemclone_start_time_seconds",
             "When counting began, in Unix time: when httpd was started.");
    put(w, "gemclone_start_time_seconds ");
    put_seconds(w, shared->begun);
    put(w, "\n");
    put_head(w, "gauge", "gemclone_children",
             "Children of httpd that live, those that are ending included.");
    put(w, "gemclone_children ");
    put_number(w, count_places(shared));
    put(w, "\n");
}

static const char *const *escape_names(apr_pool_t *pool, const gc_metrics_view_t *view)
{
    const char **names = apr_palloc(pool, sizeof(*names) * (apr_size_t)(view->site_count + 1));
    int i;

    for (i = 0; i < view->site_count; i++) {
        names[i] = gc_metrics_escape(pool, view->sites[i].name);
    }
    return names;
}

apr_status_t gc_metrics_render(apr_pool_t *pool, gc_membuf_t *out,
                               const gc_metrics_shared_t *shared, const gc_metrics_view_t *view)
{
    writer_t w = {.out = out, .view = view, .names = escape_names(pool, view)};

    put_facts(&w, shared, gc_metrics_escape(pool, view->version));
    put_lines(&w);
    return w.status;
}
