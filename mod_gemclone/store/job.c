/* SPDX-License-Identifier: Apache-2.0
 * The queue: replies that are owed.
 */
#include "job.h"

#include <string.h>

static void read_job(const gc_db_result_t *rows, int row, gc_job_t *job)
{
    const char *trace;

    job->ref.reply = gc_db_int(rows, row, 0, 0);
    job->ref.room = gc_db_uuid(rows, row, 1);
    job->user = gc_db_uuid(rows, row, 2);
    job->prompt = gc_db_int(rows, row, 3, 0);
    job->ref.fence = gc_db_int(rows, row, 4, 0);
    job->tries = (int)gc_db_int(rows, row, 5, 0);
    job->lost = (int)gc_db_int(rows, row, 6, 0);
    job->fallback = gc_db_bool(rows, row, 7);
    job->age = gc_db_int(rows, row, 8, 0);
    job->model = gc_db_text(rows, row, 9);
    job->system_prompt = gc_db_text(rows, row, 10);
    job->content = gc_db_text(rows, row, 11);
    job->tokens = (int)gc_db_int(rows, row, 12, 0);
    job->cancelled = gc_db_bool(rows, row, 13);
    trace = gc_db_text(rows, row, 14);
    (void)!gc_trace_parse(&job->trace, trace ? trace : "");
}

apr_status_t gc_job_claim(gc_db_t *db, apr_pool_t *pool, const char *site, const char *worker,
                          int most, apr_interval_time_t lease, int frees, apr_array_header_t **jobs)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_text(&params, site);
    gc_db_add_text(&params, worker);
    gc_db_add_int(&params, most);
    gc_db_add_interval(&params, lease);
    gc_db_add_bool(&params, frees);
    rv = gc_db_run(db, pool, GC_SQL_JOB_CLAIM, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *jobs = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_job_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        read_job(rows, i, apr_array_push(*jobs));
    }
    return APR_SUCCESS;
}

apr_status_t gc_job_history(gc_db_t *db, apr_pool_t *pool, const gc_job_t *job, int tokens,
                            apr_array_header_t **turns)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, &job->ref.room);
    gc_db_add_int(&params, job->ref.reply);
    gc_db_add_int(&params, tokens);
    rv = gc_db_run(db, pool, GC_SQL_JOB_HISTORY, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *turns = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_turn_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        gc_turn_t *turn = apr_array_push(*turns);

        turn->prompt = gc_db_text(rows, i, 0);
        turn->reply = gc_db_text(rows, i, 1);
        turn->tokens = (int)gc_db_int(rows, i, 2, 0);
    }
    return APR_SUCCESS;
}

static void add_refs(gc_db_params_t *params, apr_pool_t *pool, const apr_array_header_t *refs)
{
    gc_db_array_t rooms, replies, fences;
    int i;

    gc_db_array_begin(&rooms, pool, GC_DB_UUID);
    gc_db_array_begin(&replies, pool, GC_DB_INT8);
    gc_db_array_begin(&fences, pool, GC_DB_INT8);
    for (i = 0; i < refs->nelts; i++) {
        const gc_job_ref_t *ref = &APR_ARRAY_IDX(refs, i, gc_job_ref_t);

        gc_db_array_add(&rooms, ref->room.bytes, sizeof(ref->room.bytes));
        gc_db_array_add_int(&replies, ref->reply);
        gc_db_array_add_int(&fences, ref->fence);
    }
    gc_db_array_end(&rooms, params);
    gc_db_array_end(&replies, params);
    gc_db_array_end(&fences, params);
}

apr_status_t gc_job_renew(gc_db_t *db, apr_pool_t *pool, const apr_array_header_t *held,
                          apr_interval_time_t lease)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    add_refs(&params, pool, held);
    gc_db_add_interval(&params, lease);
    return gc_db_run(db, pool, GC_SQL_JOB_RENEW, &params, &rows);
}

static gc_stop_e stop_of(const char *why)
{
    return strcmp(why, "gone") == 0   ? GC_STOP_GONE
           : strcmp(why, "lost") == 0 ? GC_STOP_LOST
                                      : GC_STOP_CANCELLED;
}

apr_status_t gc_job_stops(gc_db_t *db, apr_pool_t *pool, const apr_array_header_t *held,
                          apr_array_header_t **stops)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    add_refs(&params, pool, held);
    rv = gc_db_run(db, pool, GC_SQL_JOB_STOPS, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *stops = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_job_stop_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        APR_ARRAY_PUSH(*stops, gc_job_stop_t) =
            (gc_job_stop_t){.reply = gc_db_int(rows, i, 0, 0),
                            .fence = gc_db_int(rows, i, 1, 0),
                            .why = stop_of(gc_db_text(rows, i, 2))};
    }
    return APR_SUCCESS;
}

static void add_ref(gc_db_params_t *params, const gc_job_ref_t *job)
{
    gc_db_add_uuid(params, &job->room);
    gc_db_add_int(params, job->reply);
    gc_db_add_int(params, job->fence);
}

apr_status_t gc_job_put_off(gc_db_t *db, apr_pool_t *pool, const gc_job_ref_t *job,
                            const gc_job_delay_t *delay)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    add_ref(&params, job);
    gc_db_add_interval(&params, delay->delay);
    gc_db_add_bool(&params, delay->fallback);
    gc_db_add_bool(&params, delay->uncount);
    gc_db_add_text(&params, delay->error);
    gc_db_add_text(&params, delay->reason);
    rv = gc_db_run(db, pool, GC_SQL_JOB_PUT_OFF, &params, &rows);
    return rv == APR_SUCCESS && !gc_db_bool(rows, 0, 0) ? GC_ENOENT : rv;
}

apr_status_t gc_job_finish(gc_db_t *db, apr_pool_t *pool, const gc_job_ref_t *job,
                           const gc_job_end_t *end, int *next_due)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    add_ref(&params, job);
    gc_db_add_text(&params, end->status);
    gc_db_add_text(&params, end->content);
    gc_db_add_text(&params, end->error);
    gc_db_add_text(&params, end->error_detail);
    gc_db_add_text(&params, end->finish_reason);
    gc_db_add_text(&params, end->model);
    gc_db_add_int(&params, end->tokens);
    gc_db_add_int_or_null(&params, end->prompt_tokens);
    gc_db_add_int_or_null(&params, end->cached_tokens);
    gc_db_add_int_or_null(&params, end->thought_tokens);
    gc_db_add_int_or_null(&params, end->prompt_weight);
    gc_db_add_bool(&params, end->refund);
    gc_db_add_text(&params, end->reason);
    rv = gc_db_run(db, pool, GC_SQL_JOB_FINISH, &params, &rows);
    if (rv == APR_SUCCESS && strcmp(gc_db_text(rows, 0, 0), "stored") != 0) {
        return GC_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        *next_due = gc_db_bool(rows, 0, 1);
    }
    return rv;
}
