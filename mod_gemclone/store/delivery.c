/* SPDX-License-Identifier: Apache-2.0
 * One-time codes on their way to a gateway.
 */
#include "delivery.h"

#include <string.h>

static void read_delivery(const gc_db_result_t *rows, int row, gc_delivery_t *delivery)
{
    memset(delivery, 0, sizeof(*delivery));
    delivery->id = gc_db_uuid(rows, row, 0);
    delivery->e164 = gc_db_text(rows, row, 1);
    delivery->purpose = gc_db_text(rows, row, 2);
    delivery->sealed = (const unsigned char *)gc_db_bytes(rows, row, 3, &delivery->sealed_len);
    delivery->fence = gc_db_int(rows, row, 4, 0);
    delivery->tries = (int)gc_db_int(rows, row, 5, 0);
    delivery->expires = gc_db_time(rows, row, 6);
}

apr_status_t gc_delivery_claim(gc_db_t *db, apr_pool_t *pool, const gc_delivery_claim_t *claim,
                               apr_array_header_t **deliveries, int *spent)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    *spent = 0;
    gc_db_add_text(&params, claim->site);
    gc_db_add_int(&params, claim->most);
    gc_db_add_interval(&params, claim->lease);
    gc_db_add_bool(&params, claim->repeats);
    gc_db_add_int_or_null(&params, claim->budget);
    rv = gc_db_run(db, pool, GC_SQL_DELIVERIES_CLAIM, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *deliveries = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_delivery_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        if (gc_db_int(rows, i, 7, 0)) {
            ++*spent;
        } else {
            read_delivery(rows, i, apr_array_push(*deliveries));
        }
    }
    return rv;
}

apr_status_t gc_delivery_end(gc_db_t *db, apr_pool_t *pool, const gc_delivery_t *delivery)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, &delivery->id);
    gc_db_add_int(&params, delivery->fence);
    return gc_db_run(db, pool, GC_SQL_DELIVERY_END, &params, &rows);
}

apr_status_t gc_delivery_put_off(gc_db_t *db, apr_pool_t *pool, const gc_delivery_t *delivery,
                                 apr_interval_time_t delay)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_uuid(&params, &delivery->id);
    gc_db_add_int(&params, delivery->fence);
    gc_db_add_interval(&params, delay);
    return gc_db_run(db, pool, GC_SQL_DELIVERY_PUT_OFF, &params, &rows);
}
