/* SPDX-License-Identifier: Apache-2.0
 * What can go wrong below the handlers, as apr_status_t values of our own.
 */
#ifndef GC_STATUS_H
#define GC_STATUS_H

#include <apr_errno.h>

#define GC_MUST_CHECK __attribute__((warn_unused_result))

/* Anything else than these and APR_SUCCESS is a defect or a lack of memory. */
enum {
    /* The input breaks its format: JSON, a token, a cursor, a number. */
    GC_EINPUT = APR_OS_START_USERERR + 7100,
    /* There is no such row for this user. */
    GC_ENOENT,
    /* A row with this key exists. */
    GC_EEXIST,
    /* An Idempotency-Key came with another request before. */
    GC_EREUSED,
    /* A row that this one refers to is gone: the user, most often. */
    GC_EGONE,
    /* The database or a connection to it cannot be had in time. Try later. */
    GC_EUNAVAILABLE,
    /* The connection broke, or time ran out, after the statement was sent: it
     * may or may not have taken effect. Try later. */
    GC_EUNKNOWN,
    /* The schema is not what this module needs: a migration is missing. */
    GC_ESCHEMA,
    /* Refused by the database for another reason. */
    GC_EDATABASE
};

#endif
