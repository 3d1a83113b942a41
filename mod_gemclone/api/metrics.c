/* SPDX-License-Identifier: Apache-2.0
 * Counting requests, and telling all that is counted.
 */
#include "metrics.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

/* The text for all sites of a host is a few hundred KiB. */
#define MOST_TEXT ((apr_size_t)64 * 1024 * 1024)

/* --- Routes as they are counted --------------------------------------------- */

/* A row for each route, another for HEAD on it, and one for each method without a route. */
static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", "other"};

enum { METHOD_ROWS = sizeof(methods) / sizeof(methods[0]) };

/* As many as are counted apart: all, as long as there is room. */
static int count_routes(void)
{
    int count = 0;

    while (gc_routes[count].method && METHOD_ROWS + 2 * count + 1 < GC_METRICS_ROUTES) {
        count++;
    }
    return count;
}

static int row_of_method(const char *method)
{
    int i = 0;

    while (i < METHOD_ROWS - 1 && (!method || strcmp(method, methods[i]) != 0)) {
        i++;
    }
    return i;
}

/* Those without a route come first: they are as many whatever a later version's table has. The
 * admin page's are not told apart. */
static int row_of(const request_rec *r, const gc_route_t *route)
{
    int row = route && route->access != GC_FOR_ADMINS ? METHOD_ROWS + 2 * (int)(route - gc_routes)
                                                      : GC_METRICS_ROUTES;

    return row + 1 < GC_METRICS_ROUTES ? row + r->header_only : row_of_method(r->method);
}

static const char *const *make_labels(apr_pool_t *pool, int *count)
{
    int routes = count_routes(), i;
    const char **labels =
        apr_palloc(pool, sizeof(*labels) * (apr_size_t)(METHOD_ROWS + 2 * routes));

    for (i = 0; i < METHOD_ROWS; i++) {
        labels[i] = apr_psprintf(pool, "route=\"other\",method=\"%s\"", methods[i]);
    }
    for (i = 0; i < routes; i++) {
        const gc_route_t *route = &gc_routes[i];
        const char *pattern = gc_metrics_escape(pool, route->pattern);

        labels[METHOD_ROWS + 2 * i] =
            apr_psprintf(pool, "route=\"%s\",method=\"%s\"", pattern, route->method);
        labels[METHOD_ROWS + 2 * i + 1] =
            apr_psprintf(pool, "route=\"%s\",method=\"HEAD\"", pattern);
    }
    *count = METHOD_ROWS + 2 * routes;
    return labels;
}

/* --- Counting ----------------------------------------------------------------- */

void gc_count_begin(gc_request_t *q)
{
    gc_note_t *note = gc_request_note(q->r);

    note->is_ours = 1;
    note->service = q->service;
    note->route = q->route;
    gc_metrics_change(q->service->metrics, GC_GAUGE_IN_FLIGHT, 1);
}

void gc_count_waiting(gc_request_t *q)
{
    gc_request_note(q->r)->is_waiting = 1;
    gc_metrics_change(q->service->metrics, GC_GAUGE_WAITING, 1);
}

void gc_count_stream(gc_request_t *q, int is_resumed)
{
    gc_metrics_t *m = q->service->metrics;

    gc_request_note(q->r)->is_stream = 1;
    gc_metrics_count(m, is_resumed ? GC_COUNT_STREAM_RESUMED : GC_COUNT_STREAM_NEW);
    gc_metrics_change(m, GC_GAUGE_IN_FLIGHT, -1);
    gc_metrics_change(m, GC_GAUGE_STREAMS, 1);
}

/* What it was among while it lasted. */
static void end_holding(const gc_note_t *note)
{
    gc_metrics_t *m = note->service->metrics;

    gc_metrics_change(m, note->is_stream ? GC_GAUGE_STREAMS : GC_GAUGE_IN_FLIGHT, -1);
    if (note->is_waiting) {
        gc_metrics_change(m, GC_GAUGE_WAITING, -1);
    }
}

/* One that was refused before it came to us is ours, too. */
static void count_one(const request_rec *r, const gc_note_t *note, int status)
{
    const gc_service_t *s = note->service ? note->service : gc_service_of(r->server);
    apr_interval_time_t time = apr_time_now() - r->request_time;

    if (note->service) {
        end_holding(note);
    }
    if (!s) {
        return;
    }
    if (note->is_stream) {
        gc_metrics_time(s->metrics, GC_TIME_STREAM, time);
    }
    gc_metrics_request(s->metrics, row_of(r, note->route), status, note->is_stream ? -1 : time);
}

/* By httpd, before it knew whose it was: an encoded slash, a head that is too long. */
static int is_refused(const request_rec *r)
{
    return r->status >= HTTP_BAD_REQUEST && gc_config_mapping_of(r->server, r->parsed_uri.path);
}

/* A request that was redirected inside httpd is several in a row, which end as the last one. */
void gc_count_end(request_rec *r)
{
    static const gc_note_t nothing = {0};
    const request_rec *last = r;

    while (last->next) {
        last = last->next;
    }
    for (; r; r = r->next) {
        const gc_note_t *note = ap_get_module_config(r->request_config, &gemclone_module);

        if (note && note->is_ours) {
            count_one(r, note, last->status);
        } else if (!r->handler && is_refused(r)) {
            count_one(r, &nothing, last->status);
        }
    }
}

/* --- Telling ------------------------------------------------------------------ */

static apr_int64_t seconds_since(apr_time_t then)
{
    return then ? apr_time_sec(apr_time_now() - then) : GC_METRICS_UNKNOWN;
}

void gc_metrics_sample(const gc_service_t *service, apr_int64_t *samples)
{
    gc_backlog_counts_t counts;

    gc_backlog_counts(service->backlog, &counts);
    samples[GC_SAMPLE_OWED] = counts.owed;
    samples[GC_SAMPLE_OWED_LIMIT] = service->config->max_backlog;
    samples[GC_SAMPLE_GENERATING] = counts.generating;
    samples[GC_SAMPLE_DUE] = counts.due;
    samples[GC_SAMPLE_OLDEST] = apr_time_sec(counts.oldest);
    samples[GC_SAMPLE_COUNTED] = seconds_since(counts.counted);
    samples[GC_SAMPLE_SWEPT_CODES] = counts.otps;
    samples[GC_SAMPLE_SWEPT_LIMITS] = counts.limits;
    samples[GC_SAMPLE_SWEPT_SESSIONS] = counts.sessions;
    samples[GC_SAMPLE_SWEPT_KEYS] = counts.keys;
    samples[GC_SAMPLE_SWEPT_TICKETS] = counts.tickets;
    samples[GC_SAMPLE_EVENTS_WAITING] =
        service->stripe_secrets ? counts.events : GC_METRICS_UNKNOWN;
    samples[GC_SAMPLE_EVENTS_FAILING] =
        service->stripe_secrets ? counts.failing : GC_METRICS_UNKNOWN;
}

/* Services of one site count together. */
static void add_site(gc_metrics_view_t *view, gc_metrics_site_t *sites, const gc_service_t *service)
{
    int i;

    for (i = 0; i < view->site_count; i++) {
        if (strcmp(sites[i].name, service->config->site) == 0) {
            return;
        }
    }
    if (service->metrics) {
        sites[i].name = service->config->site;
        sites[i].metrics = service->metrics;
        gc_metrics_sample(service, sites[i].samples);
        view->site_count++;
    }
}

/* Of one service, or of all of this host (NULL). */
static apr_status_t render(apr_pool_t *pool, const gc_service_t *service, gc_membuf_t **out)
{
    const apr_array_header_t *all = gc_services();
    apr_size_t most = service || !all ? 1 : (apr_size_t)all->nelts;
    gc_metrics_site_t *sites = apr_palloc(pool, sizeof(*sites) * (most + 1));
    gc_metrics_view_t view = {.sites = sites, .version = GC_VERSION};
    int i;

    view.routes = make_labels(pool, &view.route_count);
    for (i = 0; !service && all && i < all->nelts; i++) {
        add_site(&view, sites, APR_ARRAY_IDX(all, i, gc_service_t *));
    }
    if (service) {
        add_site(&view, sites, service);
    }
    *out = apr_palloc(pool, sizeof(**out));
    gc_membuf_init(*out, pool, MOST_TEXT);
    return gc_metrics_render(pool, *out, gc_services_counts(), &view);
}

/* Never the same twice. */
static int answer_text(request_rec *r, const gc_membuf_t *text)
{
    ap_set_content_type(r, GC_METRICS_TYPE);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    ap_set_content_length(r, (apr_off_t)text->length);
    ap_rwrite(text->bytes, (int)text->length, r);
    return OK;
}

int gc_handle_metrics(gc_request_t *q)
{
    gc_membuf_t *out;
    apr_status_t rv;

    if (!q->service->config->metrics) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "There is no such address.");
    }
    rv = render(q->pool, q->service, &out);
    return rv == APR_SUCCESS ? answer_text(q->r, out) : gc_answer_failure(q, rv);
}

int gc_metrics_answer(request_rec *r)
{
    gc_membuf_t *out;

    r->allowed |= AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    return render(r->pool, NULL, &out) == APR_SUCCESS ? answer_text(r, out)
                                                      : HTTP_INTERNAL_SERVER_ERROR;
}
