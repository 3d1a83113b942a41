/* SPDX-License-Identifier: Apache-2.0
 * Errors as clients get them: application/problem+json (RFC 9457).
 */
#ifndef GC_PROBLEM_H
#define GC_PROBLEM_H

#include <apr_pools.h>
#include <apr_tables.h>

/* One broken rule of a 422. */
typedef struct gc_problem_field_t {
    const char *pointer; /* JSON Pointer (RFC 6901) into the body, or "" for all of it */
    const char *detail;
} gc_problem_field_t;

typedef struct gc_problem_t {
    int status;
    const char *type;           /* a URI that names the kind, or NULL for about:blank */
    const char *detail;         /* a sentence for people; NULL: the title says it all */
    apr_array_header_t *fields; /* of gc_problem_field_t, or NULL */
} gc_problem_t;

#define GC_PROBLEM_TYPE "application/problem+json"

/* The kinds that answers have when the quota is used up, when the user is owed too many replies,
 * when nothing is sold here, and when all users together are owed too many. */
#define GC_PROBLEM_QUOTA "urn:gemclone:problem:quota-exceeded"
#define GC_PROBLEM_BACKLOG "urn:gemclone:problem:too-many-pending"
#define GC_PROBLEM_NOT_SOLD "urn:gemclone:problem:billing-unavailable"
#define GC_PROBLEM_OVERLOAD "urn:gemclone:problem:overloaded"

/* Adds a broken rule; makes the array first where there is none. */
void gc_problem_field_add(apr_pool_t *pool, gc_problem_t *problem, const char *pointer,
                          const char *detail);

/* The body, in the pool. */
const char *gc_problem_text(apr_pool_t *pool, const gc_problem_t *problem, apr_size_t *len);

#endif
