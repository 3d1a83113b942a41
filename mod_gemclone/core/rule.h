/* SPDX-License-Identifier: Apache-2.0
 * What a request's body must look like, as data.
 */
#ifndef GC_RULE_H
#define GC_RULE_H

#include "json.h"
#include "problem.h"

enum {
    GC_RULE_REQUIRED = 1, /* the member must be there */
    GC_RULE_NULLABLE = 2, /* null is a value: "none" */
    GC_RULE_BLANK = 4,    /* a text of blanks alone is good enough */
    GC_RULE_PROMPT = 8,   /* at most gc_rule_limits_t.prompt characters instead of max */
    GC_RULE_ID = 16       /* no text, but the id of a message: a whole number */
};

/* Bounds that the configuration sets. */
typedef struct gc_rule_limits_t {
    apr_int64_t prompt; /* characters */
} gc_rule_limits_t;

/* One member, a string unless flags say otherwise. An array of these ends with a NULL member name.
 */
typedef struct gc_rule_t {
    const char *member;
    int flags;
    int min, max;               /* characters (code points), not bytes */
    const char *const *choices; /* NULL-terminated, or NULL for any text */
    /* Tells what is wrong with a value that passed all else, or NULL. */
    const char *(*check)(apr_pool_t *pool, const char *value);
} gc_rule_t;

/* Holds a parsed body against the rules; members without a rule are ignored.
 * GC_EINPUT: problem->fields tells all that is wrong. */
GC_MUST_CHECK apr_status_t gc_rule_check(apr_pool_t *pool, const gc_rule_t *rules,
                                         const gc_rule_limits_t *limits, const json_t *body,
                                         gc_problem_t *problem);

#endif
