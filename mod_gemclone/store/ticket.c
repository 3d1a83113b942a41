/* SPDX-License-Identifier: Apache-2.0
 * Stream tickets.
 */
#include "ticket.h"

apr_status_t gc_ticket_issue(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             apr_int64_t reply, const gc_hash_t *ticket,
                             apr_interval_time_t lifetime)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, user);
    gc_db_add_int(&params, reply);
    gc_db_add_bytes(&params, ticket->bytes, sizeof(ticket->bytes));
    gc_db_add_interval(&params, lifetime);
    return gc_db_run_for_one(db, pool, GC_SQL_TICKET_ISSUE, &params, &rows);
}

apr_status_t gc_ticket_take(gc_db_t *db, apr_pool_t *pool, const gc_hash_t *ticket,
                            const gc_uuid_t *room, apr_int64_t reply, gc_uuid_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_bytes(&params, ticket->bytes, sizeof(ticket->bytes));
    gc_db_add_uuid(&params, room);
    gc_db_add_int(&params, reply);
    rv = gc_db_run(db, pool, GC_SQL_TICKET_TAKE, &params, &rows);
    if (rv == APR_SUCCESS && (gc_db_rows(rows) == 0 || !gc_db_bool(rows, 0, 1))) {
        return GC_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        *user = gc_db_uuid(rows, 0, 0);
    }
    return rv;
}
