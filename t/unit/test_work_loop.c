/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the loop and of the companion that runs it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_thread_cond.h>
#include <cmocka.h>

#include "work/companion.h"
#include "work/loop.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    PATIENCE_S = 60, /* for all tests together: what hangs is killed */
    POSTERS = 8,
    POSTS = 2000, /* of each */
};

static apr_pool_t *pool; /* of one test */
static gc_loop_t *loop;

/* --- Tasks ----------------------------------------------------------------- */

/* What was called, in order; written by the loop's thread only. */
static struct {
    int tasks[64];
    int count;
} calls;

typedef struct {
    gc_loop_task_t task;
    int number;
    gc_loop_task_t *also; /* is posted by the call */
    int ends;             /* the call ends the loop */
} note_t;

static void note_call(void *baton)
{
    note_t *note = baton;

    assert_true((size_t)calls.count < COUNT(calls.tasks));
    calls.tasks[calls.count++] = note->number;
    if (note->also) {
        gc_loop_post(loop, note->also);
    }
    if (note->ends) {
        gc_loop_end(loop);
    }
}

#define NOTE(name, value, ...)                                                                     \
    note_t name = {.task = {.call = note_call, .baton = &name}, .number = value, __VA_ARGS__}

static void end_call(void *baton)
{
    gc_loop_end(baton);
}

static void check_calls(const int *expected, int count)
{
    int i;

    assert_int_equal(calls.count, count);
    for (i = 0; i < count; i++) {
        assert_int_equal(calls.tasks[i], expected[i]);
    }
}

/* --- One thread ------------------------------------------------------------ */

static void test_order(void **state)
{
    static const int expected[] = {1, 2, 3};
    NOTE(one, 1);
    NOTE(two, 2);
    NOTE(three, 3, .ends = 1);

    (void)state;
    gc_loop_post(loop, &one.task);
    gc_loop_post(loop, &two.task);
    gc_loop_post(loop, &three.task);
    gc_loop_run(loop);
    check_calls(expected, 3);
}

/* What a call posts comes behind what was posted before it. */
static void test_post_from_inside(void **state)
{
    static const int expected[] = {1, 2, 3, 4};
    NOTE(four, 4, .ends = 1);
    NOTE(three, 3, .also = &four.task);
    NOTE(one, 1, .also = &three.task);
    NOTE(two, 2);

    (void)state;
    gc_loop_post(loop, &one.task);
    gc_loop_post(loop, &two.task);
    gc_loop_run(loop);
    check_calls(expected, 4);
}

/* What has been posted before the end is done before it. */
static void test_post_then_end(void **state)
{
    static const int expected[] = {1, 2, 3};
    NOTE(three, 3);
    NOTE(one, 1, .also = &three.task, .ends = 1);
    NOTE(two, 2);

    (void)state;
    gc_loop_post(loop, &one.task);
    gc_loop_post(loop, &two.task);
    gc_loop_run(loop);
    check_calls(expected, 3);
}

static void free_call(void *baton)
{
    free(baton);
}

/* The caller's memory is its own again as soon as the call begins. */
static void test_task_frees_itself(void **state)
{
    gc_loop_task_t end = {.call = end_call, .baton = loop};
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        gc_loop_task_t *task = malloc(sizeof(*task));

        assert_non_null(task);
        task->call = free_call;
        task->baton = task;
        gc_loop_post(loop, task);
    }
    gc_loop_post(loop, &end);
    gc_loop_run(loop);
}

typedef struct {
    gc_loop_task_t task;
    int count, fired;
} again_t;

static void again_call(void *baton)
{
    again_t *again = baton;

    again->count++;
    if (again->fired) {
        gc_loop_end(loop);
    } else {
        gc_loop_post(loop, &again->task);
    }
}

static void fired_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd, (void)what;
    ((again_t *)baton)->fired = 1;
}

/* A task that posts itself for ever leaves time for everything else. */
static void test_post_itself(void **state)
{
    const struct timeval soon = {.tv_usec = 20000};
    again_t again = {.task = {.call = again_call, .baton = &again}};

    (void)state;
    assert_int_equal(event_base_once(gc_loop_base(loop), -1, EV_TIMEOUT, fired_cb, &again, &soon),
                     0);
    gc_loop_post(loop, &again.task);
    gc_loop_run(loop);
    assert_true(again.fired);
    assert_in_range(again.count, 3, INT32_MAX);
}

static void end_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd, (void)what;
    gc_loop_end(baton);
}

/* Without any event it waits, and an event's callback may end it. */
static void test_end_from_an_event(void **state)
{
    const struct timeval soon = {.tv_usec = 20000};
    apr_time_t begin = apr_time_now();

    (void)state;
    assert_int_equal(event_base_once(gc_loop_base(loop), -1, EV_TIMEOUT, end_cb, loop, &soon), 0);
    gc_loop_run(loop);
    assert_true(apr_time_now() - begin >= 15000);
}

static void test_never_run(void **state)
{
    NOTE(one, 1);

    (void)state;
    gc_loop_post(loop, &one.task);
}

/* --- Many threads ---------------------------------------------------------- */

typedef struct {
    gc_loop_task_t task;
    int poster, number;
} post_t;

static struct {
    post_t posts[POSTERS][POSTS];
    int seen[POSTERS], total, wrong;
    pthread_t thread; /* the loop's */
} many;

static void post_call(void *baton)
{
    post_t *post = baton;

    many.wrong +=
        post->number != many.seen[post->poster] || !pthread_equal(pthread_self(), many.thread);
    many.seen[post->poster]++;
    if (++many.total == POSTERS * POSTS) {
        gc_loop_end(loop);
    }
}

static void *poster_thread(void *baton)
{
    post_t *posts = baton;
    int i;

    for (i = 0; i < POSTS; i++) {
        gc_loop_post(loop, &posts[i].task);
    }
    return NULL;
}

static void test_many_posters(void **state)
{
    pthread_t threads[POSTERS];
    int i, k;

    (void)state;
    memset(&many, 0, sizeof(many));
    many.thread = pthread_self();
    for (i = 0; i < POSTERS; i++) {
        for (k = 0; k < POSTS; k++) {
            many.posts[i][k] = (post_t){
                .task = {.call = post_call, .baton = &many.posts[i][k]}, .poster = i, .number = k};
        }
        assert_int_equal(pthread_create(&threads[i], NULL, poster_thread, many.posts[i]), 0);
    }
    gc_loop_run(loop);
    for (i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(many.seen[i], POSTS);
    }
    assert_int_equal(many.wrong, 0);
}

/* --- The companion --------------------------------------------------------- */

static gc_companion_t *companion;

static void start_companion(int threads)
{
    assert_int_equal(gc_companion_start(pool, threads, &companion), APR_SUCCESS);
    loop = gc_companion_loop(companion);
    assert_non_null(loop);
}

static void end_companion(void)
{
    gc_loop_task_t end = {.call = end_call, .baton = loop};

    gc_loop_post(loop, &end);
    gc_companion_join(companion);
}

/* Shared by the threads of a test. */
static struct {
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *changed;
    int count; /* guarded */
    pthread_t thread;
} shared;

static void add(int number)
{
    apr_thread_mutex_lock(shared.mutex);
    shared.count += number;
    apr_thread_cond_broadcast(shared.changed);
    apr_thread_mutex_unlock(shared.mutex);
}

static void wait_for(int count)
{
    apr_thread_mutex_lock(shared.mutex);
    while (shared.count < count) {
        apr_thread_cond_wait(shared.changed, shared.mutex);
    }
    apr_thread_mutex_unlock(shared.mutex);
}

static void count_call(void *baton)
{
    (void)baton;
    add(1);
}

static void test_push(void **state)
{
    int i;

    (void)state;
    start_companion(4);
    for (i = 0; i < 1000; i++) {
        gc_companion_push(companion, count_call, NULL);
    }
    wait_for(1000);
    end_companion();
    assert_int_equal(shared.count, 1000);
}

static void meet_call(void *baton)
{
    add(1);
    wait_for(*(int *)baton);
}

/* As many tasks are under way at once as there are threads, and the loop beside them. */
static void test_threads_are_there(void **state)
{
    gc_loop_task_t last = {.call = count_call};
    int parties = 5, i;

    (void)state;
    start_companion(4);
    for (i = 0; i < 4; i++) {
        gc_companion_push(companion, meet_call, &parties);
    }
    wait_for(4);
    gc_loop_post(loop, &last);
    end_companion();
    assert_int_equal(shared.count, 5);
}

static void slow_call(void *baton)
{
    (void)baton;
    apr_sleep(2000);
    add(1);
}

/* All that was pushed is done, more than there are threads for too. */
static void test_join_waits_for_all(void **state)
{
    int i;

    (void)state;
    start_companion(2);
    for (i = 0; i < 50; i++) {
        gc_companion_push(companion, slow_call, NULL);
    }
    end_companion();
    assert_int_equal(shared.count, 50);
}

static void push_call(void *baton)
{
    gc_companion_push(baton, count_call, NULL);
    add(1);
}

static void loop_call(void *baton)
{
    shared.thread = pthread_self();
    push_call(baton);
}

static void other_thread_call(void *baton)
{
    (void)baton;
    add(pthread_equal(pthread_self(), shared.thread) ? 1000 : 1);
}

/* From the loop, and from what was pushed; it never lands on the loop's thread. */
static void test_push_from_inside(void **state)
{
    gc_loop_task_t task = {.call = loop_call};
    int i;

    (void)state;
    start_companion(2);
    task.baton = companion;
    gc_loop_post(loop, &task);
    gc_companion_push(companion, push_call, companion);
    wait_for(4);
    for (i = 0; i < 100; i++) {
        gc_companion_push(companion, other_thread_call, NULL);
    }
    wait_for(104);
    end_companion();
    assert_int_equal(shared.count, 104);
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    start_companion(1);
    end_companion();
    start_companion(8);
    end_companion();
}

/* --- The frame ------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    memset(&calls, 0, sizeof(calls));
    memset(&shared, 0, sizeof(shared));
    return apr_pool_create(&pool, NULL) != APR_SUCCESS
           || apr_thread_mutex_create(&shared.mutex, APR_THREAD_MUTEX_DEFAULT, pool) != APR_SUCCESS
           || apr_thread_cond_create(&shared.changed, pool) != APR_SUCCESS;
}

static int loop_setup(void **state)
{
    return setup(state) || gc_loop_create(pool, &loop) != APR_SUCCESS;
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    alarm(PATIENCE_S);
    return apr_initialize();
}

static int group_teardown(void **state)
{
    (void)state;
    apr_terminate();
    return 0;
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, teardown)
#define COMPANION_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_order),
        LOOP_TEST(test_post_from_inside),
        LOOP_TEST(test_post_then_end),
        LOOP_TEST(test_task_frees_itself),
        LOOP_TEST(test_post_itself),
        LOOP_TEST(test_end_from_an_event),
        LOOP_TEST(test_never_run),
        LOOP_TEST(test_many_posters),
        COMPANION_TEST(test_push),
        COMPANION_TEST(test_threads_are_there),
        COMPANION_TEST(test_join_waits_for_all),
        COMPANION_TEST(test_push_from_inside),
        COMPANION_TEST(test_nothing_to_do),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
