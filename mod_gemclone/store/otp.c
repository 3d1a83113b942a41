/* SPDX-License-Identifier: Apache-2.0
 * One-time codes: issued, tried, used up.
 */
#include "otp.h"

apr_status_t gc_otp_issue(gc_db_t *db, apr_pool_t *pool, const gc_otp_t *otp,
                          const gc_limit_uses_t *uses, int *known, gc_refusal_t *refusal)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, otp->e164);
    gc_db_add_text(&params, otp->purpose);
    gc_db_add_bytes(&params, otp->hash ? otp->hash->bytes : NULL, GC_HASH_BYTES);
    gc_db_add_interval(&params, otp->lifetime);
    gc_db_add_text(&params, otp->site);
    gc_db_add_bytes(&params, otp->sealed, otp->sealed_len);
    gc_db_add_int_or_null(&params, otp->budget);
    gc_limits_add(&params, pool, uses);
    rv = gc_db_run(db, pool, GC_SQL_OTP_ISSUE, &params, &rows);
    if (rv == APR_SUCCESS) {
        *known = gc_db_bool(rows, 0, 0);
        gc_refusal_read(rows, 1, refusal);
    }
    return rv;
}

apr_status_t gc_otp_verify(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                           gc_uuid_t *user, gc_refusal_t *refusal)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, attempt->e164);
    gc_db_add_text(&params, attempt->purpose);
    gc_db_add_bytes(&params, attempt->code->bytes, GC_HASH_BYTES);
    gc_limits_add(&params, pool, &attempt->uses);
    gc_session_add(&params, &attempt->session);
    rv = gc_db_run(db, pool, GC_SQL_OTP_VERIFY, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    gc_refusal_read(rows, 1, refusal);
    *user = gc_db_uuid(rows, 0, 0);
    return gc_db_text(rows, 0, 0) ? APR_SUCCESS : GC_ENOENT;
}

apr_status_t gc_otp_ask(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt, int *is_open,
                        gc_refusal_t *refusal)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, attempt->e164);
    gc_db_add_text(&params, attempt->purpose);
    gc_limits_add(&params, pool, &attempt->uses);
    rv = gc_db_run(db, pool, GC_SQL_OTP_ASK, &params, &rows);
    if (rv == APR_SUCCESS) {
        *is_open = gc_db_bool(rows, 0, 0);
        gc_refusal_read(rows, 1, refusal);
    }
    return rv;
}

apr_status_t gc_otp_confirm(gc_db_t *db, apr_pool_t *pool, const gc_otp_try_t *attempt,
                            gc_uuid_t *user)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, attempt->e164);
    gc_db_add_text(&params, attempt->purpose);
    gc_limits_add_names(&params, pool, &attempt->uses);
    gc_session_add(&params, &attempt->session);
    rv = gc_db_run_for_one(db, pool, GC_SQL_OTP_CONFIRM, &params, &rows);
    if (rv == APR_SUCCESS) {
        *user = gc_db_uuid(rows, 0, 0);
    }
    return rv;
}
