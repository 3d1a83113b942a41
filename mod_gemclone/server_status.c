/* SPDX-License-Identifier: Apache-2.0
 * Our part of mod_status' page: what each site of this host owes, and what sweeps have removed.
 * As a table for people, and for programs (?auto) by lines of "Gemclone…: number".
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

static void show_service(request_rec *r, int which, const gc_service_t *s, int is_short)
{
    gc_backlog_counts_t counts;

    gc_backlog_counts(s->backlog, &counts);
    if (!is_short) {
        ap_rprintf(r, "<h2>Gemclone: site %s</h2>\n<table border=\"0\">\n",
                   ap_escape_html(r->pool, s->config->site));
    }
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
    if (!is_short) {
        ap_rputs("</table>\n", r);
    }
}

static int show(request_rec *r, int flags)
{
    const apr_array_header_t *services = gc_services();
    int i;

    for (i = 0; services && i < services->nelts; i++) {
        show_service(r, i, APR_ARRAY_IDX(services, i, gc_service_t *), flags & AP_STATUS_SHORT);
    }
    return OK;
}

void gc_server_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, show, NULL, NULL, APR_HOOK_MIDDLE);
}
