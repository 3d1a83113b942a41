/* SPDX-License-Identifier: Apache-2.0
 * Accounts.
 */
#include "user.h"

#include <string.h>

#include "message.h"

apr_status_t gc_user_create(gc_db_t *db, apr_pool_t *pool, const gc_signup_t *signup, gc_uuid_t *id,
                            gc_refusal_t *refusal)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    const char *outcome;
    apr_status_t rv;

    gc_db_add_text(&params, signup->e164);
    gc_db_add_text(&params, signup->mobile_number);
    gc_db_add_text(&params, signup->name);
    gc_key_add(&params, signup->key);
    gc_limits_add(&params, pool, &signup->uses);
    rv = gc_db_run(db, pool, GC_SQL_USER_CREATE, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    gc_refusal_read(rows, 2, refusal);
    if (refusal->is_refused) {
        return APR_SUCCESS;
    }
    outcome = gc_db_text(rows, 0, 0);
    *id = gc_db_uuid(rows, 0, 1);
    return strcmp(outcome, "taken") == 0        ? GC_EEXIST
           : strcmp(outcome, "key_reused") == 0 ? GC_EREUSED
                                                : APR_SUCCESS;
}

static void read_user(const gc_db_result_t *rows, const gc_uuid_t *id, gc_user_t *user)
{
    user->id = *id;
    user->mobile_number = gc_db_text(rows, 0, 0);
    user->name = gc_db_text(rows, 0, 1);
    user->tier = gc_db_text(rows, 0, 2);
    user->created = gc_db_time(rows, 0, 3);
}

apr_status_t gc_user_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id, gc_user_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run_for_one(db, pool, GC_SQL_USER_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        read_user(rows, id, user);
    }
    return rv;
}

apr_status_t gc_user_find(gc_db_t *db, apr_pool_t *pool, const char *e164, gc_user_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    gc_uuid_t id;
    apr_status_t rv;

    gc_db_add_text(&params, e164);
    rv = gc_db_run_for_one(db, pool, GC_SQL_USER_FIND, &params, &rows);
    if (rv == APR_SUCCESS) {
        id = gc_db_uuid(rows, 0, 4);
        read_user(rows, &id, user);
    }
    return rv;
}

apr_status_t gc_user_change(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                            const gc_user_change_t *change, gc_user_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    gc_db_add_bool(&params, change->set_name);
    gc_db_add_text(&params, change->name);
    rv = gc_db_run_for_one(db, pool, GC_SQL_USER_CHANGE, &params, &rows);
    if (rv == APR_SUCCESS) {
        read_user(rows, id, user);
    }
    return rv;
}

static gc_usage_count_t read_count(const gc_db_result_t *rows, int row, int column)
{
    return (gc_usage_count_t){.prompts = gc_db_int(rows, row, column, 0),
                              .input_tokens = gc_db_int(rows, row, column + 1, 0),
                              .output_tokens = gc_db_int(rows, row, column + 2, 0)};
}

apr_status_t gc_user_usage(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id, gc_usage_t *usage)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run_for_one(db, pool, GC_SQL_USAGE_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        usage->tier = gc_db_text(rows, 0, 0);
        usage->resets = gc_db_time(rows, 0, 1);
        usage->today = read_count(rows, 0, 2);
        usage->month = read_count(rows, 0, 5);
    }
    return rv;
}

apr_status_t gc_user_usage_days(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                apr_array_header_t **days)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_USAGE_DAYS, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *days = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_usage_day_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        APR_ARRAY_PUSH(*days, gc_usage_day_t) =
            (gc_usage_day_t){gc_db_text(rows, i, 0), read_count(rows, i, 1)};
    }
    return APR_SUCCESS;
}

apr_status_t gc_user_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                            apr_array_header_t **owed)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_USER_DELETE, &params, &rows);
    return rv == APR_SUCCESS ? gc_replies_read_owed(pool, rows, id, owed) : rv;
}
