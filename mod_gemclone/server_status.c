/* SPDX-License-Identifier: Apache-2.0
 * Our part of mod_status' page: what each site of this host owes, has done and does, and what
 * sweeps have removed. As a table for people, and for programs (?auto) by lines of "Gemclone…:
 * number".
 */
#include "server_status.h"

#include <httpd.h>

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "service.h"

/* Seconds since then; -1: never. */
static int ago(apr_time_t then)
{
    return then ? (int)apr_time_sec(apr_time_now() - then) : -1;
}

typedef struct {
    const char *name, *title;
    apr_int64_t value;
} line_t;

/* Two sites are told apart by the order in which the configuration has them. */
static void show_lines(request_rec *r, int which, const line_t *lines, int count, int is_short)
{
    int i;

    for (i = 0; i < count; i++) {
        if (is_short && which == 0) {
            ap_rprintf(r, "Gemclone%s: %" APR_INT64_T_FMT "\n", lines[i].name, lines[i].value);
        } else if (is_short) {
            ap_rprintf(r, "Gemclone%s-%d: %" APR_INT64_T_FMT "\n", lines[i].name, which + 1,
                       lines[i].value);
        } else {
            ap_rprintf(r, "<tr><td>%s</td><td>%" APR_INT64_T_FMT "</td></tr>\n", lines[i].title,
                       lines[i].value);
        }
    }
}

/* The most telling of what core/metric_list.h has. */
static void show_counts(request_rec *r, int which, const gc_service_t *s, int is_short)
{
    const gc_metrics_t *m = s->metrics;
    apr_int64_t failed = 0;
    int i;

    for (i = GC_COUNT_REPLY_BLOCKED; i <= GC_COUNT_REPLY_POISON; i++) {
        failed += gc_metrics_counted(m, i);
    }
    {
        const line_t lines[] = {
            {"Requests", "Requests", gc_metrics_requests(m, 0, 999)},
            {"RequestsRefused", "of them refused (4xx)", gc_metrics_requests(m, 400, 499)},
            {"RequestsFailed", "of them failed (5xx)", gc_metrics_requests(m, 500, 599)},
            {"InFlight", "Requests being answered", gc_metrics_held(m, GC_GAUGE_IN_FLIGHT)},
            {"Streams", "Streams that are open", gc_metrics_held(m, GC_GAUGE_STREAMS)},
            {"StreamsLimit", "of at most", gc_metrics_held(m, GC_GAUGE_STREAMS_LIMIT)},
            {"StreamsDropped", "Streams dropped", gc_metrics_counted(m, GC_COUNT_STREAM_DROPPED)},
            {"RepliesDone", "Replies done", gc_metrics_counted(m, GC_COUNT_REPLY_DONE)},
            {"RepliesCancelled", "Replies cancelled",
             gc_metrics_counted(m, GC_COUNT_REPLY_CANCELLED)},
            {"RepliesFailed", "Replies failed", failed},
            {"Calls", "Calls of Gemini that are out", gc_metrics_held(m, GC_GAUGE_CALLS)},
            {"CircuitsOpen", "Keys that are not asked for a while",
             gc_metrics_held(m, GC_GAUGE_CIRCUITS_OPEN)},
            {"TokensPrompt", "Tokens of prompts", gc_metrics_counted(m, GC_COUNT_TOKENS_PROMPT)},
            {"TokensReply", "Tokens of replies", gc_metrics_counted(m, GC_COUNT_TOKENS_REPLY)},
            {"CacheNear", "Answers found in the child", gc_metrics_counted(m, GC_COUNT_CACHE_NEAR)},
            {"CacheRedis", "Answers found in Redis", gc_metrics_counted(m, GC_COUNT_CACHE_REDIS)},
            {"CacheMiss", "Answers found in neither", gc_metrics_counted(m, GC_COUNT_CACHE_MISS)},
        };

        show_lines(r, which, lines, sizeof(lines) / sizeof(lines[0]), is_short);
    }
}

static void show_queue(request_rec *r, int which, const gc_service_t *s, int is_short)
{
    gc_backlog_counts_t counts;

    gc_backlog_counts(s->backlog, &counts);
    {
        const line_t lines[] = {
            {"Owed", "Replies that are owed", counts.owed},
            {"Generating", "of them being generated", counts.generating},
            {"Due", "of them due, and not begun", counts.due},
            {"Oldest", "The oldest of these, in seconds", apr_time_sec(counts.oldest)},
            {"Counted", "Seconds since this was counted", ago(counts.counted)},
            {"Swept", "Seconds since the last sweep", ago(counts.swept)},
            {"SweptCodes", "Codes removed", counts.otps},
            {"SweptLimits", "Limits removed whose window is over", counts.limits},
            {"SweptSessions", "Sessions removed that have outlived themselves", counts.sessions},
            {"SweptKeys", "Idempotency keys removed", counts.keys},
            {"SweptTickets", "Tickets removed", counts.tickets},
            {"FreedJobs", "Jobs taken up again", counts.freed},
        };

        show_lines(r, which, lines, sizeof(lines) / sizeof(lines[0]), is_short);
    }
    if (s->stripe_secrets) {
        const line_t lines[] = {
            {"Events", "Events of Stripe's to be worked off", counts.events},
            {"EventsFailing", "of them failing", counts.failing},
        };

        show_lines(r, which, lines, sizeof(lines) / sizeof(lines[0]), is_short);
    }
}

static void show_service(request_rec *r, int which, const gc_service_t *s, int is_short)
{
    if (!is_short) {
        ap_rprintf(r, "<h2>Gemclone: site %s</h2>\n<table border=\"0\">\n",
                   ap_escape_html(r->pool, s->config->site));
    }
    show_counts(r, which, s, is_short);
    show_queue(r, which, s, is_short);
    if (!is_short) {
        ap_rputs("</table>\n", r);
    }
}

static int show(request_rec *r, int flags)
{
    const apr_array_header_t *services = gc_services();
    int i;

    for (i = 0; services && i < services->nelts; i++) {
        const gc_service_t *s = APR_ARRAY_IDX(services, i, gc_service_t *);

        if (s->config->server_status) {
            show_service(r, i, s, flags & AP_STATUS_SHORT);
        }
    }
    return OK;
}

void gc_server_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, show, NULL, NULL, APR_HOOK_MIDDLE);
}
