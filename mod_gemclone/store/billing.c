/* SPDX-License-Identifier: Apache-2.0
 * What Stripe has told.
 */
#include "billing.h"

#include <string.h>

/* --- Events ---------------------------------------------------------------- */

apr_status_t gc_billing_event_store(gc_db_t *db, apr_pool_t *pool, const char *id, const char *type,
                                    const char *api_version, const char *payload, apr_size_t len)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, id);
    gc_db_add_text(&params, type);
    gc_db_add_text(&params, api_version);
    gc_db_add_bytes(&params, payload, len);
    rv = gc_db_run(db, pool, GC_SQL_STRIPE_EVENT_STORE, &params, &rows);
    return rv == APR_SUCCESS && gc_db_rows(rows) == 0 ? GC_EEXIST : rv;
}

apr_status_t gc_billing_events_claim(gc_db_t *db, apr_pool_t *pool, const char *worker, int most,
                                     apr_interval_time_t lease, apr_array_header_t **events)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_text(&params, worker);
    gc_db_add_int(&params, most);
    gc_db_add_interval(&params, lease);
    rv = gc_db_run(db, pool, GC_SQL_STRIPE_EVENTS_CLAIM, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *events = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_billing_event_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        gc_billing_event_t *event = apr_array_push(*events);

        event->id = gc_db_text(rows, i, 0);
        event->type = gc_db_text(rows, i, 1);
        event->fence = gc_db_int(rows, i, 2, 0);
        event->tries = (int)gc_db_int(rows, i, 3, 0);
        event->payload = gc_db_bytes(rows, i, 4, &event->len);
        event->asked = gc_db_time(rows, i, 5);
    }
    return APR_SUCCESS;
}

apr_status_t gc_billing_event_end(gc_db_t *db, apr_pool_t *pool, const gc_billing_event_t *event,
                                  const char *outcome, apr_interval_time_t delay)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_text(&params, event->id);
    gc_db_add_int(&params, event->fence);
    gc_db_add_text(&params, outcome);
    if (delay < 0) {
        gc_db_add_text(&params, NULL);
    } else {
        gc_db_add_interval(&params, delay);
    }
    rv = gc_db_run(db, pool, GC_SQL_STRIPE_EVENT_END, &params, &rows);
    return rv == APR_SUCCESS && !gc_db_bool(rows, 0, 0) ? GC_ENOENT : rv;
}

apr_status_t gc_billing_count(gc_db_t *db, apr_pool_t *pool, apr_int64_t *events,
                              apr_int64_t *failing)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv = gc_db_run(db, pool, GC_SQL_STRIPE_EVENTS_COUNT, &params, &rows);

    if (rv == APR_SUCCESS) {
        *events = gc_db_int(rows, 0, 0, 0);
        *failing = gc_db_int(rows, 0, 1, 0);
    }
    return rv;
}

apr_status_t gc_billing_doubt(gc_db_t *db, apr_pool_t *pool, int most, int *count)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_int(&params, most);
    rv = gc_db_run(db, pool, GC_SQL_SUBSCRIPTIONS_DOUBT, &params, &rows);
    if (rv == APR_SUCCESS) {
        *count = (int)gc_db_int(rows, 0, 0, 0);
    }
    return rv;
}

/* --- What they are about --------------------------------------------------- */

/* Each of these statements ends with when Stripe was asked, and with the grace. */
static apr_status_t run(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement, gc_db_params_t *params,
                        apr_time_t asked, apr_interval_time_t grace, gc_billing_change_t *change)
{
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_time(params, asked);
    gc_db_add_interval(params, grace);
    rv = gc_db_run(db, pool, statement, params, &rows);
    if (rv == APR_SUCCESS) {
        change->known = gc_db_bool(rows, 0, 0);
        change->changed = gc_db_bool(rows, 0, 1);
        change->user = gc_db_uuid(rows, 0, 2);
    }
    return rv;
}

static void add_uuid_or_null(gc_db_params_t *params, int has, const gc_uuid_t *uuid)
{
    if (has) {
        gc_db_add_uuid(params, uuid);
    } else {
        gc_db_add_text(params, NULL);
    }
}

static void add_time_or_null(gc_db_params_t *params, apr_time_t time)
{
    if (time) {
        gc_db_add_time(params, time);
    } else {
        gc_db_add_text(params, NULL);
    }
}

apr_status_t gc_billing_subscription_store(gc_db_t *db, apr_pool_t *pool,
                                           const gc_subscription_t *subscription, const char *ours,
                                           apr_time_t asked, apr_interval_time_t grace,
                                           gc_billing_change_t *change)
{
    gc_db_params_t params = {0};

    gc_db_add_text(&params, subscription->id);
    gc_db_add_text(&params, subscription->customer);
    add_uuid_or_null(&params, subscription->has_user, &subscription->user);
    gc_db_add_text(&params, subscription->status);
    gc_db_add_text(&params, subscription->price);
    add_time_or_null(&params, subscription->period_start);
    add_time_or_null(&params, subscription->period_end);
    gc_db_add_bool(&params, subscription->cancels);
    gc_db_add_bool(&params, subscription->is_unpaid);
    gc_db_add_time(&params, subscription->created);
    gc_db_add_text(&params, ours);
    return run(db, pool, GC_SQL_SUBSCRIPTION_STORE, &params, asked, grace, change);
}

apr_status_t gc_billing_subscription_gone(gc_db_t *db, apr_pool_t *pool, const char *id,
                                          apr_time_t asked, apr_interval_time_t grace,
                                          gc_billing_change_t *change)
{
    gc_db_params_t params = {0};

    gc_db_add_text(&params, id);
    return run(db, pool, GC_SQL_SUBSCRIPTION_GONE, &params, asked, grace, change);
}

apr_status_t gc_billing_checkout_store(gc_db_t *db, apr_pool_t *pool, const gc_checkout_t *checkout,
                                       apr_time_t asked, apr_interval_time_t grace,
                                       gc_billing_change_t *change)
{
    gc_db_params_t params = {0};

    add_uuid_or_null(&params, checkout->has_attempt, &checkout->attempt);
    gc_db_add_text(&params, checkout->session);
    gc_db_add_text(&params, checkout->url);
    gc_db_add_text(&params, checkout->customer);
    gc_db_add_text(&params, checkout->subscription);
    gc_db_add_text(&params, checkout->status);
    gc_db_add_text(&params, checkout->payment_status);
    return run(db, pool, GC_SQL_CHECKOUT_STORE, &params, asked, grace, change);
}

apr_status_t gc_billing_reversal_store(gc_db_t *db, apr_pool_t *pool, const gc_reversal_t *reversal,
                                       apr_time_t asked, apr_interval_time_t grace,
                                       gc_billing_change_t *change)
{
    gc_db_params_t params = {0};

    gc_db_add_text(&params, reversal->id);
    gc_db_add_text(&params, reversal->customer);
    gc_db_add_text(&params, reversal->is_dispute ? "dispute" : "refund");
    gc_db_add_text(&params, reversal->status);
    return run(db, pool, GC_SQL_REVERSAL_STORE, &params, asked, grace, change);
}

apr_status_t gc_billing_customer_gone(gc_db_t *db, apr_pool_t *pool, const char *customer)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;

    gc_db_add_text(&params, customer);
    return gc_db_run_for_one(db, pool, GC_SQL_CUSTOMER_GONE, &params, &rows);
}

/* --- Buying ----------------------------------------------------------------- */

apr_status_t gc_billing_checkout_begin(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                       const char *price, apr_interval_time_t age,
                                       gc_billing_attempt_t *attempt)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    const char *outcome;

    gc_db_add_uuid(&params, user);
    gc_db_add_text(&params, price);
    gc_db_add_interval(&params, age);
    rv = gc_db_run(db, pool, GC_SQL_CHECKOUT_BEGIN, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    outcome = gc_db_text(rows, 0, 0);
    if (strcmp(outcome, "subscribed") == 0 || strcmp(outcome, "no_user") == 0) {
        return *outcome == 's' ? GC_EEXIST : GC_EGONE;
    }
    attempt->id = gc_db_uuid(rows, 0, 1);
    attempt->customer = gc_db_text(rows, 0, 2);
    attempt->url = gc_db_text(rows, 0, 3);
    attempt->created = gc_db_time(rows, 0, 4);
    attempt->asked = gc_db_time(rows, 0, 5);
    return APR_SUCCESS;
}

apr_status_t gc_billing_customer(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                                 const char **customer)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    rv = gc_db_run_for_one(db, pool, GC_SQL_CUSTOMER_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        *customer = gc_db_text(rows, 0, 0);
    }
    return rv;
}

apr_status_t gc_billing_ties(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                             apr_array_header_t **ties)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;
    int i;

    gc_db_add_uuid(&params, user);
    rv = gc_db_run(db, pool, GC_SQL_BILLING_TIES, &params, &rows);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *ties = apr_array_make(pool, gc_db_rows(rows), sizeof(gc_billing_tie_t));
    for (i = 0; i < gc_db_rows(rows); i++) {
        APR_ARRAY_PUSH(*ties, gc_billing_tie_t) =
            (gc_billing_tie_t){gc_db_text(rows, i, 0), gc_db_bool(rows, i, 1)};
    }
    return APR_SUCCESS;
}

/* --- What a user has -------------------------------------------------------- */

apr_status_t gc_billing_status(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *user,
                               gc_billing_status_t *status)
{
    gc_db_params_t params = {0};
    gc_db_result_t *rows;
    apr_status_t rv;

    gc_db_add_uuid(&params, user);
    rv = gc_db_run_for_one(db, pool, GC_SQL_SUBSCRIPTION_GET, &params, &rows);
    if (rv == APR_SUCCESS) {
        status->tier = gc_db_text(rows, 0, 0);
        status->status = gc_db_text(rows, 0, 1);
        status->period_end = gc_db_time(rows, 0, 2);
        status->cancels = gc_db_bool(rows, 0, 3);
    }
    return rv;
}
