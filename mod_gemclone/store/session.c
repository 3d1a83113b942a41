/* SPDX-License-Identifier: Apache-2.0
 * Sessions.
 */
#include "session.h"

#include <string.h>

void gc_session_add(gc_db_params_t *params, const gc_session_new_t *session)
{
    gc_db_add_uuid(params, &session->id);
    gc_db_add_bytes(params, session->refresh ? session->refresh->bytes : NULL, GC_HASH_BYTES);
    gc_db_add_time(params, session->access_until);
    gc_db_add_interval(params, session->idle);
    gc_db_add_interval(params, session->life);
    gc_db_add_text(params, session->client);
    gc_db_add_int(params, session->most);
}

apr_status_t gc_session_refresh(gc_db_t *db, apr_pool_t *pool, const gc_session_refresh_t *refresh,
                                gc_uuid_t *user, apr_time_t *access_until, int *reused)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    const char *outcome;
    apr_status_t rv;

    *reused = 0;
    gc_db_add_uuid(&params, &refresh->session);
    gc_db_add_bytes(&params, refresh->hash.bytes, GC_HASH_BYTES);
    gc_db_add_bytes(&params, refresh->next.bytes, GC_HASH_BYTES);
    gc_db_add_bool(&params, refresh->is_genuine);
    gc_db_add_interval(&params, refresh->reuse);
    gc_db_add_time(&params, refresh->access_until);
    gc_db_add_interval(&params, refresh->idle);
    rv = gc_db_run_for_one(db, pool, GC_SQL_SESSION_REFRESH, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    outcome = gc_db_text(rows, 0, 0);
    *user = gc_db_uuid(rows, 0, 1);
    *access_until = gc_db_time(rows, 0, 2);
    *reused = strcmp(outcome, "reused") == 0;
    return strcmp(outcome, "refreshed") == 0 ? APR_SUCCESS : GC_EGONE;
}

apr_status_t gc_session_list(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             apr_array_header_t **sessions)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, user);
    rv = gc_db_run(db, pool, GC_SQL_SESSION_LIST, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *sessions = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_session_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        gc_session_t *session = apr_array_push(*sessions);

        session->id = gc_db_uuid(rows, i, 0);
        session->created = gc_db_time(rows, i, 1);
        session->used = gc_db_time(rows, i, 2);
        session->expires = gc_db_time(rows, i, 3);
        session->client = gc_db_text(rows, i, 4);
    }
    return APR_SUCCESS;
}

apr_status_t gc_session_end(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                            const gc_uuid_t *session)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    gc_db_add_uuid(&params, session);
    rv = gc_db_run(db, pool, GC_SQL_SESSION_END, &params, &rows);
    return rv == APR_SUCCESS && gc_db_affected(rows) == 0 ? GC_ENOENT : rv;
}

apr_status_t gc_session_end_all(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, user);
    return gc_db_run(db, pool, GC_SQL_SESSIONS_END, &params, &rows);
}

apr_status_t gc_session_ended(gc_db_t *db, apr_pool_t *pool, apr_interval_time_t within,
                              void (*tell)(void *baton, const gc_uuid_t *session, apr_time_t until),
                              void *baton)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_interval(&params, within);
    rv = gc_db_run(db, pool, GC_SQL_SESSIONS_ENDED, &params, &rows);
    for (i = 0; rv == APR_SUCCESS && i < gc_db_rows(rows); i++) {
        gc_uuid_t session = gc_db_uuid(rows, i, 0);

        tell(baton, &session, gc_db_time(rows, i, 1));
    }
    return rv;
}
