/* SPDX-License-Identifier: Apache-2.0
 * What sending a prompt and regenerating a reply have in common.
 */
#include "sending.h"

#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "reply.h"

#define DAY 86400

/* Seconds after which it is worth to try again where too many replies are owed. */
#define BACKLOG_RETRY "5"

/* Seconds until the quota's day, UTC, is over. */
static int until_reset(const gc_request_t *q)
{
    return (int)(DAY - apr_time_sec(q->r->request_time) % DAY);
}

/* RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10). */
static void tell_limits(gc_request_t *q, const gc_sent_t *sent)
{
    apr_int64_t left = sent->limit - sent->used;

    if (sent->limit < 0) {
        return;
    }
    apr_table_setn(
        q->r->headers_out, "RateLimit-Policy",
        apr_psprintf(q->pool, "\"prompts\";q=%" APR_INT64_T_FMT ";w=%d", sent->limit, DAY));
    apr_table_setn(q->r->headers_out, "RateLimit",
                   apr_psprintf(q->pool, "\"prompts\";r=%" APR_INT64_T_FMT ";t=%d",
                                left > 0 ? left : 0, until_reset(q)));
}

static int answer_quota(gc_request_t *q, const gc_sent_t *sent)
{
    gc_problem_t problem = {.status = HTTP_TOO_MANY_REQUESTS, .type = GC_PROBLEM_QUOTA};

    gc_metrics_count(q->service->metrics, GC_COUNT_PROMPT_QUOTA);
    problem.detail =
        apr_psprintf(q->pool, "Today's %" APR_INT64_T_FMT " prompts are used up.", sent->limit);
    apr_table_setn(q->r->headers_out, "Retry-After", apr_psprintf(q->pool, "%d", until_reset(q)));
    return gc_answer_problem(q, &problem);
}

/* Too many replies are owed. Nothing of the prompt was charged or stored. */
static int refuse(gc_request_t *q, int status, const char *type, const char *detail)
{
    gc_problem_t problem = {.status = status, .type = type, .detail = detail};

    apr_table_setn(q->r->headers_out, "Retry-After", BACKLOG_RETRY);
    return gc_answer_problem(q, &problem);
}

static int answer_backlog(gc_request_t *q)
{
    gc_metrics_count(q->service->metrics, GC_COUNT_PROMPT_USER_BACKLOG);
    return refuse(q, HTTP_TOO_MANY_REQUESTS, GC_PROBLEM_BACKLOG,
                  apr_psprintf(q->pool,
                               "%" APR_INT64_T_FMT " of your prompts wait for their replies.",
                               q->service->config->max_user_backlog));
}

static int answer_overload(gc_request_t *q)
{
    gc_metrics_count(q->service->metrics, GC_COUNT_PROMPT_BACKLOG);
    return refuse(q, HTTP_SERVICE_UNAVAILABLE, GC_PROBLEM_OVERLOAD,
                  "Too many prompts wait for their replies at the moment. Please try again.");
}

/* Tells the log once a while: it is no news while it lasts. */
static int is_overloaded(const gc_service_t *s)
{
    static apr_time_t told;
    apr_time_t now = apr_time_now(), last = __atomic_load_n(&told, __ATOMIC_RELAXED);
    int is = gc_backlog_owed(s->backlog) >= s->config->max_backlog;

    if (is && now - last > apr_time_from_sec(60)
        && __atomic_compare_exchange_n(&told, &last, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        gc_log(&s->log, GEM0415, "%" APR_INT64_T_FMT " replies are owed: prompts are refused",
               gc_backlog_owed(s->backlog));
    }
    return is;
}

int gc_sending_begin(gc_request_t *q, gc_key_t *key)
{
    if (is_overloaded(q->service)) {
        return answer_overload(q);
    }
    if (gc_request_key(q, key) != APR_SUCCESS) {
        return gc_answer_bad_key(q);
    }
    return !gc_request_wants_events(q) || gc_events_reserve(q) ? GC_SENDING_ON
                                                               : gc_events_refuse(q);
}

/* The reply is owed: the worker may begin, and the client hears of it. */
static int answer_sent(gc_request_t *q, const gc_sent_t *sent, json_t *accepted)
{
    static const gc_event_id_t beginning = {0};
    const char *text;

    apr_table_setn(q->r->notes, "gemclone-reply",
                   apr_psprintf(q->pool, "%" APR_INT64_T_FMT, sent->reply));
    if (sent->outcome == GC_SENT) {
        gc_backlog_add(q->service->backlog, 1);
        gc_metrics_count(q->service->metrics, GC_COUNT_PROMPTS);
        gc_reply_poke(q);
    }
    if (!gc_request_wants_events(q)) {
        return gc_answer_json(q, HTTP_CREATED, accepted);
    }
    text = gc_json_text(q->pool, accepted, NULL);
    json_decref(accepted);
    return gc_events_open(q, HTTP_CREATED, sent->reply, &beginning, text);
}

int gc_sending_end(gc_request_t *q, apr_status_t rv, const gc_sent_t *sent, json_t *accepted)
{
    if (rv == APR_SUCCESS) {
        tell_limits(q, sent);
        if (sent->outcome == GC_SENT || sent->outcome == GC_SENT_BEFORE) {
            return answer_sent(q, sent, accepted);
        }
    }
    json_decref(accepted);
    if (gc_request_wants_events(q)) {
        gc_events_release(q);
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    switch (sent->outcome) {
    case GC_SENT_QUOTA:
        return answer_quota(q, sent);
    case GC_SENT_OWED:
        return answer_backlog(q);
    case GC_SENT_KEY_REUSED:
        return gc_answer_failure(q, GC_EREUSED);
    case GC_SENT_NOT_LAST:
        return gc_answer_error(q, HTTP_CONFLICT,
                               "Only a chatroom's last reply can be generated anew, and only once"
                               " it has ended.");
    default:
        return gc_answer_failure(q, GC_ENOENT);
    }
}
