/* SPDX-License-Identifier: Apache-2.0
 * Limits that a statement is to take.
 */
#include "limit.h"

#include <string.h>

void gc_limits_use(gc_limit_uses_t *uses, gc_limit_e kind, const char *subject, gc_limit_t limit)
{
    if (limit.most >= 0 && uses->count < GC_LIMIT_USES) {
        uses->uses[uses->count++] = (gc_limit_use_t){kind, subject, limit};
    }
}

static void add_text(gc_db_array_t *array, const char *text)
{
    gc_db_array_add(array, text, text ? strlen(text) : 0);
}

void gc_limits_add_names(gc_db_params_t *params, apr_pool_t *pool, const gc_limit_uses_t *uses)
{
    gc_db_array_t kinds, subjects;
    int i;

    gc_db_array_begin(&kinds, pool, GC_DB_TEXT);
    gc_db_array_begin(&subjects, pool, GC_DB_TEXT);
    for (i = 0; i < uses->count; i++) {
        add_text(&kinds, gc_limit_name(uses->uses[i].kind));
        add_text(&subjects, uses->uses[i].subject);
    }
    gc_db_array_end(&kinds, params);
    gc_db_array_end(&subjects, params);
}

void gc_limits_add(gc_db_params_t *params, apr_pool_t *pool, const gc_limit_uses_t *uses)
{
    gc_db_array_t most, windows;
    int i;

    gc_limits_add_names(params, pool, uses);
    gc_db_array_begin(&most, pool, GC_DB_INT8);
    gc_db_array_begin(&windows, pool, GC_DB_INT8);
    for (i = 0; i < uses->count; i++) {
        gc_db_array_add_int(&most, uses->uses[i].limit.most);
        gc_db_array_add_int(&windows, uses->uses[i].limit.window);
    }
    gc_db_array_end(&most, params);
    gc_db_array_end(&windows, params);
}

void gc_refusal_read(const gc_db_result_t *rows, int column, gc_refusal_t *refusal)
{
    const char *kind = gc_db_text(rows, 0, column);

    refusal->is_refused = kind != NULL;
    refusal->kind = kind ? gc_limit_of(kind) : GC_LIMITS;
    refusal->ends = gc_db_time(rows, 0, column + 1);
}
