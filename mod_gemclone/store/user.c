/* SPDX-License-Identifier: Apache-2.0
 * Accounts.
 */
#include "user.h"

apr_status_t gc_user_create(gc_db_t *db, apr_pool_t *pool, const char *e164,
                            const char *mobile_number, const char *name, gc_uuid_t *id)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, e164);
    gc_db_add_text(&params, mobile_number);
    gc_db_add_text(&params, name);
    rv = gc_db_run(db, pool, GC_SQL_USER_CREATE, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 0) {
        return GC_EEXIST;
    }
    if (rv == APR_SUCCESS) {
        *id = gc_db_uuid(rows, 0, 0);
    }
    return rv;
}

apr_status_t gc_user_get(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id, gc_user_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_USER_GET, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        user->id = *id;
        user->mobile_number = gc_db_text(rows, 0, 0);
        user->name = gc_db_text(rows, 0, 1);
        user->tier = gc_db_text(rows, 0, 2);
        user->created = gc_db_time(rows, 0, 3);
    }
    return rv;
}

apr_status_t gc_user_delete(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, id);
    rv = gc_db_run(db, pool, GC_SQL_USER_DELETE, &params, &rows);
    return rv == APR_SUCCESS && gc_db_rows(rows) == 0 ? GC_ENOENT : rv;
}
