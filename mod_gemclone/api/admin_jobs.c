/* SPDX-License-Identifier: Apache-2.0
 * Replies that run, wait, or have failed, as admins see them; and what they do about them.
 */
#include <apr_strings.h>

#include "admin.h"
#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "reply.h"
#include "store/admin.h"

/* In the order of gc_jobs_e. */
static const char *const states[] = {"running", "waiting", "failed", NULL};

static json_t *job_json(const gc_request_t *q, const gc_job_row_t *job, gc_jobs_e which)
{
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s?, s:s?, s:s?}", "id", (json_int_t)job->reply,
        "chatroom_id", gc_uuid_text(q->pool, &job->room), "user_id",
        gc_uuid_text(q->pool, &job->user), "site", q->service->config->site, "state", states[which],
        "created_at", gc_rfc3339(q->pool, job->created), "tries", job->tries, "lost", job->lost,
        "error", job->error, "reason", job->reason, "traceparent", job->trace);

    if (which == GC_JOBS_RUNNING) {
        json_object_set_new(json, "worker", gc_json_string_or_null(job->worker));
        json_object_set_new(json, "lease_until", gc_admin_time(q, job->due));
        json_object_set_new(json, "cancelled", json_boolean(job->cancelled));
    } else if (which == GC_JOBS_WAITING) {
        json_object_set_new(json, "run_at", gc_admin_time(q, job->due));
    } else {
        json_object_set_new(json, "failed_at", gc_admin_time(q, job->failed));
    }
    return json;
}

int gc_handle_admin_jobs(gc_request_t *q)
{
    apr_array_header_t *jobs;
    gc_page_t page;
    const char *why;
    json_t *list;
    apr_status_t rv;
    int which, i;

    if (gc_admin_list(q, states, &which, &page, &why) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST, why);
    }
    rv = gc_admin_jobs(q->service->db, q->pool, q->service->config->site, (gc_jobs_e)which,
                       page.limit + 1, page.has_cursor ? &page.after : NULL, &jobs);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    list = json_array();
    for (i = 0; i < jobs->nelts && i < page.limit; i++) {
        json_array_append_new(list,
                              job_json(q, &APR_ARRAY_IDX(jobs, i, gc_job_row_t), (gc_jobs_e)which));
    }
    return gc_admin_answer_list(
        q, "jobs", list, jobs->nelts > i ? &APR_ARRAY_IDX(jobs, i - 1, gc_job_row_t).place : NULL);
}

/* --- Doing something about it ---------------------------------------------------- */

static void note(const gc_request_t *q, const char *what)
{
    gc_admin_note(q, "reply %" APR_INT64_T_FMT " of chatroom %s: %s", q->id,
                  gc_uuid_text(q->pool, &q->room), what);
}

static int answer_failure(gc_request_t *q, apr_status_t rv)
{
    return rv == GC_ENOENT ? gc_answer_error(q, HTTP_NOT_FOUND, "This site has no such reply.")
                           : gc_answer_failure(q, rv);
}

static int answer_job(gc_request_t *q, int http_status, const char *message, const char *status)
{
    return gc_answer_json(q, http_status,
                          json_pack("{s:s, s:{s:I, s:s, s:s}}", "message", message, "job", "id",
                                    (json_int_t)q->id, "chatroom_id",
                                    gc_uuid_text(q->pool, &q->room), "status", status));
}

int gc_handle_admin_job_retry(gc_request_t *q)
{
    static const char *const refusals[] = {
        [GC_RETRY_RUNNING] = "The reply is being generated.",
        [GC_RETRY_BEHIND] = "An earlier reply of its chatroom comes first.",
        [GC_RETRY_NOT_LAST] = "The chat has gone on since.",
        [GC_RETRY_OVER] = "The reply has ended, and did not fail."};
    gc_retry_e outcome;
    apr_status_t rv = gc_admin_job_retry(q->service->db, q->pool, q->service->config->site,
                                         &q->room, q->id, &outcome);

    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    if (refusals[outcome]) {
        return gc_answer_error(q, HTTP_CONFLICT, refusals[outcome]);
    }
    if (outcome == GC_RETRY_QUEUED) {
        gc_backlog_add(q->service->backlog, 1);
    }
    note(q, outcome == GC_RETRY_QUEUED ? "had failed, is tried again" : "is tried again now");
    gc_reply_poke(q);
    return answer_job(q, HTTP_OK, "The reply is tried again.", "pending");
}

/* As a user cancels a reply, but for the quota, to which it is given back. */
int gc_handle_admin_job_drop(gc_request_t *q)
{
    gc_cancel_e outcome;
    gc_reply_ref_t ref;
    int next_due;
    apr_status_t rv = gc_admin_job_drop(q->service->db, q->pool, q->service->config->site, &q->room,
                                        q->id, &outcome, &ref, &next_due);

    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    if (outcome == GC_CANCEL_OVER) {
        return gc_answer_error(q, HTTP_CONFLICT, "The reply has ended already.");
    }
    note(q, "dropped");
    gc_reply_note_cancel(q, &ref, outcome, next_due);
    return outcome == GC_CANCEL_ASKED
               ? answer_job(q, HTTP_ACCEPTED, "The reply is being stopped.", "generating")
               : answer_job(q, HTTP_OK, "The reply was dropped.", "cancelled");
}
