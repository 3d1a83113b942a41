/* SPDX-License-Identifier: Apache-2.0
 * Asks Postgres which replies have ended.
 */
#include "ends.h"

#include <apr_ring.h>
#include <stdlib.h>

/* So many replies in one statement, each of which may have a whole text; so many statements at
 * once, for they share their threads with those that generate replies. */
enum { BATCH = 64, AT_ONCE = 2 };

typedef struct question_t question_t;
struct question_t {
    APR_RING_ENTRY(question_t) link;
    gc_reply_ref_t ref;
};

struct gc_ends_t {
    gc_ends_options_t options;
    APR_RING_HEAD(questions_t, question_t) questions;
    int under_way; /* statements */
};

/* One statement, on its way to a thread and back. */
typedef struct {
    gc_ends_t *ends;
    apr_pool_t *pool;
    gc_loop_task_t task;
    apr_array_header_t *refs;  /* gc_reply_ref_t */
    apr_array_header_t *found; /* gc_reply_end_t; NULL: Postgres did not say */
    const char **descriptions; /* of found */
} batch_t;

static void ask_next(gc_ends_t *ends);

/* On the pool: whole texts may be a lot of memory to give back. */
static void free_batch(void *pool)
{
    apr_pool_destroy(pool);
}

static void answered_cb(void *baton)
{
    batch_t *b = baton;
    gc_ends_t *ends = b->ends;
    const gc_ends_options_t *o = &ends->options;
    int i;

    ends->under_way--;
    for (i = 0; b->found && i < b->found->nelts; i++) {
        const gc_reply_end_t *end = &APR_ARRAY_IDX(b->found, i, gc_reply_end_t);

        o->found(o->baton, APR_ARRAY_IDX(b->refs, end->index, gc_reply_ref_t).reply, end,
                 b->descriptions[i]);
    }
    for (i = 0; i < b->refs->nelts; i++) {
        o->answered(o->baton, APR_ARRAY_IDX(b->refs, i, gc_reply_ref_t).reply);
    }
    gc_companion_push(o->companion, free_batch, b->pool);
    ask_next(ends);
}

static void ask_task(void *baton)
{
    batch_t *b = baton;
    const gc_ends_options_t *o = &b->ends->options;
    int i, count;

    if (gc_replies_ended(o->db, b->pool, b->refs, &b->found) != APR_SUCCESS) {
        b->found = NULL;
    }
    count = b->found ? b->found->nelts : 0;
    b->descriptions = apr_pcalloc(b->pool, sizeof(char *) * (apr_size_t)count);
    for (i = 0; i < count; i++) {
        const gc_reply_end_t *end = &APR_ARRAY_IDX(b->found, i, gc_reply_end_t);

        if (!end->gone) {
            b->descriptions[i] = o->describe(
                b->pool, &APR_ARRAY_IDX(b->refs, end->index, gc_reply_ref_t), &end->message);
        }
    }
    b->task.call = answered_cb;
    b->task.baton = b;
    gc_loop_post(gc_companion_loop(o->companion), &b->task);
}

/* There is one. */
static question_t *take_first(gc_ends_t *ends)
{
    question_t *q = APR_RING_FIRST(&ends->questions);

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): another one comes first then */
    APR_RING_REMOVE(q, link);
    return q;
}

static void ask_next(gc_ends_t *ends)
{
    apr_pool_t *pool;
    batch_t *b;

    if (ends->under_way >= AT_ONCE || APR_RING_EMPTY(&ends->questions, question_t, link)) {
        return;
    }
    pool = gc_companion_pool();
    b = apr_pcalloc(pool, sizeof(*b));
    b->ends = ends;
    b->pool = pool;
    b->refs = apr_array_make(pool, 8, sizeof(gc_reply_ref_t));
    while (b->refs->nelts < BATCH && !APR_RING_EMPTY(&ends->questions, question_t, link)) {
        question_t *q = take_first(ends);

        APR_ARRAY_PUSH(b->refs, gc_reply_ref_t) = q->ref;
        free(q);
    }
    ends->under_way++;
    gc_companion_push(ends->options.companion, ask_task, b);
}

void gc_loop_ends_ask(gc_ends_t *ends, const gc_reply_ref_t *ref)
{
    question_t *q = malloc(sizeof(*q));

    if (!q) {
        abort();
    }
    q->ref = *ref;
    APR_RING_ELEM_INIT(q, link);
    APR_RING_INSERT_TAIL(&ends->questions, q, question_t, link);
    ask_next(ends);
}

static apr_status_t free_questions_cb(void *baton)
{
    gc_ends_t *ends = baton;

    while (!APR_RING_EMPTY(&ends->questions, question_t, link)) {
        free(take_first(ends));
    }
    return APR_SUCCESS;
}

gc_ends_t *gc_loop_ends_create(apr_pool_t *pool, const gc_ends_options_t *options)
{
    gc_ends_t *ends = apr_pcalloc(pool, sizeof(*ends));

    ends->options = *options;
    APR_RING_INIT(&ends->questions, question_t, link);
    apr_pool_cleanup_register(pool, ends, free_questions_cb, apr_pool_cleanup_null);
    return ends;
}
