/* SPDX-License-Identifier: Apache-2.0
 * The passwords of accounts.
 */
#include "password.h"

#include <string.h>

apr_status_t gc_password_try(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user, const char *e164,
                             const gc_limit_uses_t *uses, gc_account_t *account,
                             gc_refusal_t *refusal)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_text(&params, e164);
    gc_limits_add(&params, pool, uses);
    rv = gc_db_run(db, pool, GC_SQL_PASSWORD_TRY, &params, &rows);
    if (rv == APR_SUCCESS) {
        account->user = gc_db_uuid(rows, 0, 0);
        account->e164 = gc_db_text(rows, 0, 1);
        account->hash = gc_db_text(rows, 0, 2);
        gc_refusal_read(rows, 3, refusal);
    }
    return rv;
}

apr_status_t gc_password_accept(gc_db_t *db, apr_pool_t *pool, const gc_account_t *account,
                                const char *better, const gc_limit_uses_t *uses,
                                const gc_session_new_t *session)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, &account->user);
    gc_db_add_text(&params, account->hash);
    gc_db_add_text(&params, better);
    gc_limits_add_names(&params, pool, uses);
    gc_session_add(&params, session);
    return gc_db_run_for_one(db, pool, GC_SQL_PASSWORD_ACCEPT, &params, &rows);
}

apr_status_t gc_password_set(gc_db_t *db, apr_pool_t *pool, const gc_password_change_t *change)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    const char *outcome;
    apr_status_t rv;

    gc_db_add_uuid(&params, &change->user);
    gc_db_add_uuid(&params, &change->session);
    gc_db_add_bool(&params, change->resets);
    gc_db_add_text(&params, change->old);
    gc_db_add_text(&params, change->hash);
    gc_limits_add_names(&params, pool, &change->uses);
    rv = gc_db_run(db, pool, GC_SQL_PASSWORD_SET, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    outcome = gc_db_text(rows, 0, 0);
    return strcmp(outcome, "changed") == 0 ? APR_SUCCESS
           : strcmp(outcome, "raced") == 0 ? GC_EEXIST
                                           : GC_ENOENT;
}
