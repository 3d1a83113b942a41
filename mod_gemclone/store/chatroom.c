/* SPDX-License-Identifier: Apache-2.0
 * Chatrooms. Each function sees the rooms of one user only.
 */
#include "chatroom.h"

#include <string.h>

#include "message.h"

static void read_room(const gc_db_result_t *rows, int row, gc_chatroom_t *room)
{
    room->id = gc_db_uuid(rows, row, 0);
    room->title = gc_db_text(rows, row, 1);
    room->system_prompt = gc_db_text(rows, row, 2);
    room->model = gc_db_text(rows, row, 3);
    room->created = gc_db_time(rows, row, 4);
}

/* Runs a statement that gives one room, or none. */
static apr_status_t run_for_one(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                                const gc_db_params_t *params, gc_chatroom_t *room)
{
    gc_db_result_t *rows;
    apr_status_t rv = gc_db_run_for_one(db, pool, statement, params, &rows);

    if (rv == APR_SUCCESS) {
        read_room(rows, 0, room);
    }
    return rv;
}

apr_status_t gc_chatroom_create(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                const gc_chatroom_t *wanted, const gc_key_t *key,
                                gc_chatroom_t *made)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_text(&params, wanted->title);
    gc_db_add_text(&params, wanted->system_prompt);
    gc_db_add_text(&params, wanted->model);
    gc_key_add(&params, key);
    rv = gc_db_run(db, pool, GC_SQL_CHATROOM_CREATE, &params, &rows);
    if (rv == APR_SUCCESS && strcmp(gc_db_text(rows, 0, 0), "key_reused") == 0) {
        return GC_EREUSED;
    }
    if (rv == APR_SUCCESS) {
        *made = *wanted;
        made->id = gc_db_uuid(rows, 0, 1);
        made->created = gc_db_time(rows, 0, 2);
    }
    return rv;
}

apr_status_t gc_chatroom_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             const gc_uuid_t *id, gc_chatroom_t *room)
{
    gc_db_params_t params = {0};

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, id);
    return run_for_one(db, pool, GC_SQL_CHATROOM_GET, &params, room);
}

apr_status_t gc_chatroom_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user, int limit,
                              const gc_cursor_t *after, apr_array_header_t **rooms)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, user);
    if (limit) {
        gc_db_add_int(&params, limit);
    }
    if (after) {
        gc_db_add_time(&params, after->number);
        gc_db_add_uuid(&params, &after->id);
    }
    rv = gc_db_run(db, pool,
                   after   ? GC_SQL_CHATROOM_PAGE_AFTER
                   : limit ? GC_SQL_CHATROOM_PAGE
                           : GC_SQL_CHATROOM_LIST,
                   &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *rooms = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_chatroom_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        read_room(rows, i, apr_array_push(*rooms));
    }
    return APR_SUCCESS;
}

apr_status_t gc_chatroom_change(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                const gc_uuid_t *id, const gc_chatroom_change_t *change,
                                gc_chatroom_t *room)
{
    gc_db_params_t params = {0};

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, id);
    gc_db_add_bool(&params, change->set_title);
    gc_db_add_text(&params, change->title);
    gc_db_add_bool(&params, change->set_system_prompt);
    gc_db_add_text(&params, change->system_prompt);
    gc_db_add_bool(&params, change->set_model);
    gc_db_add_text(&params, change->model);
    return run_for_one(db, pool, GC_SQL_CHATROOM_CHANGE, &params, room);
}

apr_status_t gc_chatroom_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                const gc_uuid_t *id, apr_array_header_t **owed)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_CHATROOM_DELETE, &params, &rows);
    return rv == APR_SUCCESS ? gc_replies_read_owed(pool, rows, user, owed) : rv;
}
