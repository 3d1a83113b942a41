/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies. Each function sees the rooms of one user only.
 */
#include "message.h"

static void read_message(const gc_db_result_t *rows, int row, gc_message_t *message)
{
    message->id = gc_db_int(rows, row, 0, 0);
    message->sender = gc_db_text(rows, row, 1);
    message->content = gc_db_text(rows, row, 2);
    message->status = gc_db_text(rows, row, 3);
    message->parent = gc_db_int(rows, row, 4, 0);
    message->error = gc_db_text(rows, row, 5);
    message->error_detail = gc_db_text(rows, row, 6);
    message->finish_reason = gc_db_text(rows, row, 7);
    message->model = gc_db_text(rows, row, 8);
    message->tokens = gc_db_int(rows, row, 9, 0);
    message->prompt_tokens = gc_db_int(rows, row, 10, -1);
    message->cached_tokens = gc_db_int(rows, row, 11, -1);
    message->thought_tokens = gc_db_int(rows, row, 12, -1);
    message->created = gc_db_time(rows, row, 13);
    message->finished = gc_db_time(rows, row, 14);
}

apr_status_t gc_message_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             const gc_uuid_t *room, int limit, apr_int64_t after,
                             apr_array_header_t **messages)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, room);
    if (limit) {
        gc_db_add_int(&params, limit);
        gc_db_add_int(&params, after);
    }
    rv = gc_db_run(db, pool, limit ? GC_SQL_MESSAGE_PAGE : GC_SQL_MESSAGE_LIST, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *messages = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_message_t));
    for (i = 0; i < gc_db_rows(rows) && gc_db_text(rows, i, 0); i++) {
        read_message(rows, i, apr_array_push(*messages));
    }
    return APR_SUCCESS;
}

apr_status_t gc_message_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                            const gc_uuid_t *room, apr_int64_t id, gc_message_t *message)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, room);
    gc_db_add_int(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_MESSAGE_GET, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        read_message(rows, 0, message);
    }
    return rv;
}
