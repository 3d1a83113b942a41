/* SPDX-License-Identifier: Apache-2.0
 * Prompts and replies. Each function sees the rooms of one user only.
 */
#include "message.h"

#include <string.h>

/* In the order of gc_sent_e. */
static const char *const outcomes[] = {"sent", "replayed", "no_room", "quota", "key_reused"};

static gc_sent_e outcome_of(const char *name)
{
    int i = GC_SENT_KEY_REUSED;

    while (i > GC_SENT && strcmp(outcomes[i], name) != 0) {
        i--;
    }
    return i;
}

apr_status_t gc_message_send(gc_db_t *db, apr_pool_t *pool, const gc_prompt_t *prompt,
                             gc_sent_t *sent)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, prompt->user);
    gc_db_add_uuid(&params, prompt->room);
    gc_db_add_text(&params, prompt->content);
    gc_db_add_int(&params, prompt->tokens);
    gc_db_add_text(&params, prompt->site);
    gc_db_add_int_or_null(&params, prompt->quota.basic);
    gc_db_add_int_or_null(&params, prompt->quota.pro);
    gc_db_add_text(&params, prompt->key);
    gc_db_add_bytes(&params, prompt->key ? prompt->fingerprint->bytes : NULL, GC_HASH_BYTES);
    rv = gc_db_run(db, pool, GC_SQL_MESSAGE_SEND, &params, &rows);
    if (rv == APR_SUCCESS) {
        sent->outcome = outcome_of(gc_db_text(rows, 0, 0));
        sent->message = gc_db_int(rows, 0, 1, 0);
        sent->reply = gc_db_int(rows, 0, 2, 0);
        sent->created = gc_db_time(rows, 0, 3);
        sent->used = gc_db_int(rows, 0, 4, 0);
        sent->limit = gc_db_int(rows, 0, 5, -1);
    }
    return rv;
}

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
    message->finished = gc_db_text(rows, row, 14) ? gc_db_time(rows, row, 14) : 0;
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
