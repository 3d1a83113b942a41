/* SPDX-License-Identifier: Apache-2.0
 * What admins see and do.
 */
#include "admin.h"

#include <string.h>

/* Before, and after, all places that a list may have. */
static const gc_cursor_t lowest;
static const gc_cursor_t highest = {.number = APR_INT64_C(1) << 53};

static const gc_cursor_t *first_of(int is_newest_first)
{
    return is_newest_first ? &highest : &lowest;
}

/* --- Status --------------------------------------------------------------- */

apr_status_t gc_admin_status(gc_db_t *db, apr_pool_t *pool, const char *site,
                             gc_site_status_t *status)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, site);
    rv = gc_db_run_for_one(db, pool, GC_SQL_SITE_STATUS, &params, &rows);
    if (rv == APR_SUCCESS) {
        *status = (gc_site_status_t){.owed = gc_db_int(rows, 0, 0, 0),
                                     .generating = gc_db_int(rows, 0, 1, 0),
                                     .due = gc_db_int(rows, 0, 2, 0),
                                     .oldest = gc_db_int(rows, 0, 3, 0),
                                     .failed = gc_db_int(rows, 0, 4, 0),
                                     .events = gc_db_int(rows, 0, 5, 0),
                                     .failing = gc_db_int(rows, 0, 6, 0),
                                     .now = gc_db_time(rows, 0, 7)};
    }
    return rv;
}

apr_status_t gc_admin_workers(gc_db_t *db, apr_pool_t *pool, const char *site,
                              apr_array_header_t **workers)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_text(&params, site);
    rv = gc_db_run(db, pool, GC_SQL_SITE_WORKERS, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *workers = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_site_worker_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        APR_ARRAY_PUSH(*workers, gc_site_worker_t) = (gc_site_worker_t){
            gc_db_text(rows, i, 0), gc_db_int(rows, i, 1, 0), gc_db_time(rows, i, 2)};
    }
    return APR_SUCCESS;
}

/* --- Jobs ----------------------------------------------------------------- */

/* A cursor has room for a UUID beside its time: there a reply's id stands. */
static gc_uuid_t uuid_of_id(apr_int64_t id)
{
    gc_uuid_t uuid = {{0}};
    int i;

    for (i = 0; i < 8; i++) {
        uuid.bytes[i] = (unsigned char)((apr_uint64_t)id >> (8 * (7 - i)));
    }
    return uuid;
}

static apr_int64_t id_of_uuid(const gc_uuid_t *uuid)
{
    apr_uint64_t id = 0;
    int i;

    for (i = 0; i < 8; i++) {
        id = id << 8 | uuid->bytes[i];
    }
    return (apr_int64_t)(id & APR_INT64_MAX);
}

static void read_job(const gc_db_result_t *rows, int row, gc_jobs_e which, gc_job_row_t *job)
{
    *job = (gc_job_row_t){.room = gc_db_uuid(rows, row, 0),
                          .reply = gc_db_int(rows, row, 1, 0),
                          .user = gc_db_uuid(rows, row, 2),
                          .created = gc_db_time(rows, row, 3),
                          .tries = (int)gc_db_int(rows, row, 4, 0),
                          .lost = (int)gc_db_int(rows, row, 5, 0),
                          .error = gc_db_text(rows, row, 6),
                          .reason = gc_db_text(rows, row, 7),
                          .due = gc_db_time(rows, row, 8),
                          .worker = gc_db_text(rows, row, 9),
                          .cancelled = gc_db_bool(rows, row, 10),
                          .trace = gc_db_text(rows, row, 12)};
    job->place = (gc_cursor_t){gc_db_time(rows, row, 11), uuid_of_id(job->reply)};
    job->failed = which == GC_JOBS_FAILED ? job->place.number : 0;
}

apr_status_t gc_admin_jobs(gc_db_t *db, apr_pool_t *pool, const char *site, gc_jobs_e which,
                           int limit, const gc_cursor_t *after, apr_array_header_t **jobs)
{
    static const gc_sql_e statements[] = {GC_SQL_JOBS_RUNNING, GC_SQL_JOBS_WAITING,
                                          GC_SQL_JOBS_FAILED};
    const gc_cursor_t *from = after ? after : first_of(which == GC_JOBS_FAILED);
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_text(&params, site);
    gc_db_add_int(&params, limit);
    gc_db_add_time(&params, from->number);
    gc_db_add_int(&params, id_of_uuid(&from->id));
    rv = gc_db_run(db, pool, statements[which], &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *jobs = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_job_row_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        read_job(rows, i, which, apr_array_push(*jobs));
    }
    return APR_SUCCESS;
}

static void add_reply(gc_db_params_t *params, const char *site, const gc_uuid_t *room,
                      apr_int64_t reply)
{
    gc_db_add_text(params, site);
    gc_db_add_uuid(params, room);
    gc_db_add_int(params, reply);
}

apr_status_t gc_admin_job_retry(gc_db_t *db, apr_pool_t *pool, const char *site,
                                const gc_uuid_t *room, apr_int64_t reply, gc_retry_e *outcome)
{
    static const char *const names[] = {"due", "queued", "running", "behind", "not_last", "over"};
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    add_reply(&params, site, room, reply);
    rv = gc_db_run_for_one(db, pool, GC_SQL_JOB_RETRY, &params, &rows);
    if (rv == APR_SUCCESS) {
        for (*outcome = GC_RETRY_DUE;
             *outcome < GC_RETRY_OVER && strcmp(names[*outcome], gc_db_text(rows, 0, 0)) != 0;
             ++*outcome) {
        }
    }
    return rv;
}

apr_status_t gc_admin_job_drop(gc_db_t *db, apr_pool_t *pool, const char *site,
                               const gc_uuid_t *room, apr_int64_t reply, gc_cancel_e *outcome,
                               gc_reply_ref_t *ref, int *next_due)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    const char *name;
    apr_status_t rv;

    add_reply(&params, site, room, reply);
    rv = gc_db_run_for_one(db, pool, GC_SQL_JOB_DROP, &params, &rows);
    if (rv == APR_SUCCESS) {
        name = gc_db_text(rows, 0, 0);
        *outcome = strcmp(name, "dropped") == 0 ? GC_CANCEL_ENDED
                   : strcmp(name, "asked") == 0 ? GC_CANCEL_ASKED
                                                : GC_CANCEL_OVER;
        if (*outcome != GC_CANCEL_OVER) {
            *ref = (gc_reply_ref_t){gc_db_uuid(rows, 0, 1), *room, reply};
        }
        *next_due = gc_db_bool(rows, 0, 2);
    }
    return rv;
}

/* --- Users ---------------------------------------------------------------- */

apr_status_t gc_admin_user(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                           gc_user_overview_t *overview)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run_for_one(db, pool, GC_SQL_USER_OVERVIEW, &params, &rows);
    if (rv == APR_SUCCESS) {
        *overview = (gc_user_overview_t){.tier = gc_db_text(rows, 0, 0),
                                         .has_password = gc_db_bool(rows, 0, 1),
                                         .rooms = gc_db_int(rows, 0, 2, 0),
                                         .messages = gc_db_int(rows, 0, 3, 0),
                                         .owed = gc_db_int(rows, 0, 4, 0)};
    }
    return rv;
}

apr_status_t gc_admin_user_tier(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                const char *tier)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, id);
    gc_db_add_text(&params, tier);
    return gc_db_run_for_one(db, pool, GC_SQL_USER_TIER, &params, &rows);
}

/* --- Stripe's events ------------------------------------------------------ */

static void read_event(const gc_db_result_t *rows, int row, gc_event_row_t *event)
{
    *event = (gc_event_row_t){.id = gc_db_text(rows, row, 0),
                              .type = gc_db_text(rows, row, 1),
                              .api_version = gc_db_text(rows, row, 2),
                              .received = gc_db_time(rows, row, 3),
                              .due = gc_db_time(rows, row, 4),
                              .worker = gc_db_text(rows, row, 5),
                              .tries = (int)gc_db_int(rows, row, 6, 0),
                              .outcome = gc_db_text(rows, row, 7),
                              .ended = gc_db_time(rows, row, 8)};
    event->place =
        (gc_cursor_t){event->due ? event->received : event->ended, gc_db_uuid(rows, row, 9)};
}

apr_status_t gc_admin_events(gc_db_t *db, apr_pool_t *pool, gc_events_e which, int limit,
                             const gc_cursor_t *after, apr_array_header_t **events)
{
    int is_done = which == GC_EVENTS_DONE;
    const gc_cursor_t *from = after ? after : first_of(is_done);
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_int(&params, limit);
    gc_db_add_time(&params, from->number);
    gc_db_add_uuid(&params, &from->id);
    if (!is_done) {
        gc_db_add_bool(&params, which == GC_EVENTS_FAILING);
    }
    rv = gc_db_run(db, pool, is_done ? GC_SQL_STRIPE_EVENTS_DONE : GC_SQL_STRIPE_EVENTS_OPEN,
                   &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *events = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_event_row_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        read_event(rows, i, apr_array_push(*events));
    }
    return APR_SUCCESS;
}

apr_status_t gc_admin_event(gc_db_t *db, apr_pool_t *pool, const char *id, gc_event_row_t *event)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, id);
    rv = gc_db_run_for_one(db, pool, GC_SQL_STRIPE_EVENT_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        read_event(rows, 0, event);
    }
    return rv;
}

apr_status_t gc_admin_event_again(gc_db_t *db, apr_pool_t *pool, const char *id)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, id);
    rv = gc_db_run_for_one(db, pool, GC_SQL_STRIPE_EVENT_AGAIN, &params, &rows);
    return rv == APR_SUCCESS && !gc_db_bool(rows, 0, 0) ? GC_ENOENT : rv;
}
