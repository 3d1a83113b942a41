/* SPDX-License-Identifier: Apache-2.0
 * What the user has: from our own table, which Stripe's events keep up to date.
 */
#include "answer.h"
#include "handlers.h"
#include "json_shapes.h"
#include "store/billing.h"

int gc_handle_subscription_status(gc_request_t *q)
{
    gc_billing_status_t status;
    apr_status_t rv = gc_billing_status(q->service->db, q->pool, &q->token.user, &status);

    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv == GC_ENOENT ? GC_EGONE : rv);
    }
    return gc_answer_json(q, HTTP_OK, gc_subscription_json(q->pool, &status));
}
