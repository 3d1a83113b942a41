/* SPDX-License-Identifier: Apache-2.0
 * Limits that a statement is to take: they are held in Postgres, with what they are for.
 */
#ifndef GC_STORE_LIMIT_H
#define GC_STORE_LIMIT_H

#include "core/limit.h"
#include "db.h"

enum { GC_LIMIT_USES = 4 };

typedef struct gc_limit_use_t {
    gc_limit_e kind;
    const char *subject; /* NULL: the account's number, which the statement knows */
    gc_limit_t limit;
} gc_limit_use_t;

/* At most GC_LIMIT_USES, in the order of gc_limit_e. Start with zeros. */
typedef struct gc_limit_uses_t {
    int count;
    gc_limit_use_t uses[GC_LIMIT_USES];
} gc_limit_uses_t;

/* What stood in the way; also the answer to "may I?": is_refused is 0 then. */
typedef struct gc_refusal_t {
    int is_refused;
    gc_limit_e kind;
    apr_time_t ends; /* when it may be worth asking again */
} gc_refusal_t;

/* One more to take, unless it is unlimited. The subject must stay as it is. */
void gc_limits_use(gc_limit_uses_t *uses, gc_limit_e kind, const char *subject, gc_limit_t limit);

/* As the arguments p_kinds and p_subjects; and those and p_most and p_windows. */
void gc_limits_add_names(gc_db_params_t *params, apr_pool_t *pool, const gc_limit_uses_t *uses);
void gc_limits_add(gc_db_params_t *params, apr_pool_t *pool, const gc_limit_uses_t *uses);

/* Of the columns `refused` and the next one, `ends`. */
void gc_refusal_read(const gc_db_result_t *rows, int column, gc_refusal_t *refusal);

#endif
