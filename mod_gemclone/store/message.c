/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies. Each function sees the rooms of one user only.
 */
#include "message.h"

#include <string.h>

/* A page of all versions ends with the message that reaches one of these. */
enum { PAGE_ROWS = 200, PAGE_BYTES = 256 * 1024 };

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
    message->fence = gc_db_int(rows, row, 15, 0);
    message->superseded = gc_db_bool(rows, row, 16);
}

int gc_message_has_ended(const gc_message_t *message)
{
    return strcmp(message->status, "pending") != 0 && strcmp(message->status, "generating") != 0;
}

/* A room without messages is one row of NULLs; one that is not the user's is none. */
static apr_status_t read_messages(apr_pool_t *pool, const gc_db_result_t *rows,
                                  apr_array_header_t **messages)
{
    int i;

    if (gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    *messages = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_message_t));
    for (i = 0; i < gc_db_rows(rows) && gc_db_text(rows, i, 0); i++) {
        read_message(rows, i, apr_array_push(*messages));
    }
    return APR_SUCCESS;
}

apr_status_t gc_message_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             const gc_uuid_t *room, int limit, apr_int64_t after,
                             apr_array_header_t **messages)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, room);
    if (limit) {
        gc_db_add_int(&params, limit);
        gc_db_add_int(&params, after);
    }
    rv = gc_db_run(db, pool, limit ? GC_SQL_MESSAGE_PAGE : GC_SQL_MESSAGE_LIST, &params, &rows);
    return rv == APR_SUCCESS ? read_messages(pool, rows, messages) : rv;
}

/* A page has all that its bounds let in: where neither is reached, there is no more. */
static int is_full(const apr_array_header_t *messages)
{
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < messages->nelts; i++) {
        bytes += strlen(APR_ARRAY_IDX(messages, i, gc_message_t).content);
    }
    return messages->nelts == PAGE_ROWS || bytes >= PAGE_BYTES;
}

apr_status_t gc_message_versions(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                 const gc_uuid_t *room, apr_int64_t after,
                                 apr_array_header_t **messages, int *more)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, room);
    gc_db_add_int(&params, PAGE_ROWS);
    gc_db_add_int(&params, after);
    gc_db_add_int(&params, PAGE_BYTES);
    rv = gc_db_run(db, pool, GC_SQL_MESSAGE_VERSIONS, &params, &rows);
    if (rv == APR_SUCCESS) {
        rv = read_messages(pool, rows, messages);
    }
    *more = rv == APR_SUCCESS && is_full(*messages);
    return rv;
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
    rv = gc_db_run_for_one(db, pool, GC_SQL_MESSAGE_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        read_message(rows, 0, message);
    }
    return rv;
}

/* --- Replies ------------------------------------------------------------- */

apr_status_t gc_replies_ended(gc_db_t *db, apr_pool_t *pool, const apr_array_header_t *replies,
                              apr_array_header_t **ends)
{
    gc_db_params_t params = {0};
    gc_db_array_t users, rooms, ids;
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_array_begin(&users, pool, GC_DB_UUID);
    gc_db_array_begin(&rooms, pool, GC_DB_UUID);
    gc_db_array_begin(&ids, pool, GC_DB_INT8);
    for (i = 0; i < replies->nelts; i++) {
        const gc_reply_ref_t *r = &APR_ARRAY_IDX(replies, i, gc_reply_ref_t);

        gc_db_array_add(&users, r->user.bytes, sizeof(r->user.bytes));
        gc_db_array_add(&rooms, r->room.bytes, sizeof(r->room.bytes));
        gc_db_array_add_int(&ids, r->reply);
    }
    gc_db_array_end(&users, &params);
    gc_db_array_end(&rooms, &params);
    gc_db_array_end(&ids, &params);
    rv = gc_db_run(db, pool, GC_SQL_REPLIES_ENDED, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *ends = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_reply_end_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        gc_reply_end_t *end = apr_array_push(*ends);

        end->index = (int)gc_db_int(rows, i, 17, 1) - 1;
        end->gone = gc_db_text(rows, i, 0) == NULL;
        if (!end->gone) {
            read_message(rows, i, &end->message);
        }
    }
    return APR_SUCCESS;
}

apr_status_t gc_replies_read_owed(apr_pool_t *pool, const gc_db_result_t *rows,
                                  const gc_uuid_t *user, apr_array_header_t **owed)
{
    int i;

    if (gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    *owed = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_reply_ref_t));
    for (i = 0; i < gc_db_rows(rows) && gc_db_text(rows, i, 1); i++) {
        APR_ARRAY_PUSH(*owed, gc_reply_ref_t) =
            (gc_reply_ref_t){*user, gc_db_uuid(rows, i, 0), gc_db_int(rows, i, 1, 0)};
    }
    return APR_SUCCESS;
}

apr_status_t gc_reply_cancel(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             const gc_uuid_t *room, apr_int64_t reply, gc_cancel_e *outcome,
                             const char **status, int *next_due)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    const char *name;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, room);
    gc_db_add_int(&params, reply);
    rv = gc_db_run_for_one(db, pool, GC_SQL_REPLY_CANCEL, &params, &rows);
    if (rv == APR_SUCCESS) {
        name = gc_db_text(rows, 0, 0);
        *outcome = strcmp(name, "cancelled") == 0 ? GC_CANCEL_ENDED
                   : strcmp(name, "asked") == 0   ? GC_CANCEL_ASKED
                                                  : GC_CANCEL_OVER;
        *status = gc_db_text(rows, 0, 1);
        *next_due = gc_db_bool(rows, 0, 2);
    }
    return rv;
}
