/* SPDX-License-Identifier: Apache-2.0
 * One-time codes: issued, tried, used up.
 */
#include "otp.h"

apr_status_t gc_otp_issue(gc_db_t *db, apr_pool_t *pool, const char *e164, const char *purpose,
                          const gc_hash_t *code, apr_interval_time_t lifetime, int *known)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, e164);
    gc_db_add_text(&params, purpose);
    gc_db_add_bytes(&params, code->bytes, sizeof(code->bytes));
    gc_db_add_interval(&params, lifetime);
    rv = gc_db_run(db, pool, GC_SQL_OTP_ISSUE, &params, &rows);
    if (rv == APR_SUCCESS) {
        *known = gc_db_text(rows, 0, 0) != NULL;
    }
    return rv;
}

apr_status_t gc_otp_verify(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                           gc_uuid_t *session, gc_uuid_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, attempt->e164);
    gc_db_add_text(&params, attempt->purpose);
    gc_db_add_bytes(&params, attempt->code->bytes, sizeof(attempt->code->bytes));
    gc_db_add_int(&params, attempt->tries);
    gc_db_add_interval(&params, attempt->window);
    gc_db_add_bytes(&params, attempt->refresh ? attempt->refresh->bytes : NULL, GC_HASH_BYTES);
    rv = gc_db_run(db, pool, GC_SQL_OTP_VERIFY, &params, &rows);
    if (rv == APR_SUCCESS && gc_db_rows(rows) == 0) {
        return GC_ENOENT;
    }
    if (rv == APR_SUCCESS) {
        *session = gc_db_uuid(rows, 0, 0);
        *user = gc_db_uuid(rows, 0, 1);
    }
    return rv;
}
