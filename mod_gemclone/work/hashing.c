/* SPDX-License-Identifier: Apache-2.0
 * Turns at hashing passwords.
 */
#include "hashing.h"

/* Those that wait, for each that runs: so a place in the line is worth some seconds at most. */
enum { LINE = 32 };

struct gc_hashing_t {
    gc_companion_t *companion;
    int most, running, waiting;
    APR_RING_HEAD(turns_t, gc_turn_t) turns; /* that wait */
};

gc_hashing_t *gc_loop_hashing_create(apr_pool_t *pool, gc_companion_t *companion, int most)
{
    gc_hashing_t *h = apr_pcalloc(pool, sizeof(*h));

    h->companion = companion;
    h->most = most;
    APR_RING_INIT(&h->turns, gc_turn_t, link);
    return h;
}

static void turn_task(void *baton);

static void start(gc_hashing_t *h, gc_turn_t *turn)
{
    h->running++;
    gc_companion_push(h->companion, turn_task, turn);
}

static void over_task(void *baton)
{
    gc_turn_t *turn = baton;
    gc_hashing_t *h = turn->hashing;

    h->running--;
    turn->done(turn->baton);
    if (!APR_RING_EMPTY(&h->turns, gc_turn_t, link)) {
        gc_turn_t *next = APR_RING_FIRST(&h->turns);

        APR_RING_REMOVE(next, link);
        h->waiting--;
        start(h, next);
    }
}

/* On a thread. */
static void turn_task(void *baton)
{
    gc_turn_t *turn = baton;

    turn->call(turn->baton);
    turn->task = (gc_loop_task_t){.call = over_task, .baton = turn};
    gc_loop_post(gc_companion_loop(turn->hashing->companion), &turn->task);
}

int gc_loop_hashing_take(gc_hashing_t *hashing, gc_turn_t *turn)
{
    turn->hashing = hashing;
    if (hashing->running < hashing->most) {
        start(hashing, turn);
    } else if (hashing->waiting < LINE * hashing->most) {
        APR_RING_INSERT_TAIL(&hashing->turns, turn, gc_turn_t, link);
        hashing->waiting++;
    } else {
        return 0;
    }
    return 1;
}
