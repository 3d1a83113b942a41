/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the table of sessions that have ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <apr_thread_proc.h>
#include <sodium.h>

#include "core/ended.h"
#include "frame.h"

#define HOUR apr_time_from_sec(3600)

enum { MANY = 20000 };

static gc_ended_t *ended;

static void make(void)
{
    assert_int_equal(gc_ended_create(pool, &ended), APR_SUCCESS);
}

/* As many others, so that the table is made anew. */
static void add_others(int count)
{
    while (count-- > 0) {
        gc_uuid_t session = gc_uuid_new();

        gc_ended_add(ended, &session, apr_time_now() + HOUR);
    }
}

static void test_empty(void **state)
{
    gc_uuid_t session = gc_uuid_new(), zeros = {{0}};

    (void)state;
    make();
    assert_false(gc_ended_has(ended, &session));
    assert_false(gc_ended_has(ended, &zeros));
    gc_ended_add(ended, &zeros, apr_time_now() + HOUR);
    assert_true(gc_ended_has(ended, &zeros));
    assert_false(gc_ended_has(ended, &session));
}

static void test_many(void **state)
{
    gc_uuid_t *sessions = apr_palloc(pool, MANY * sizeof(*sessions));
    int i;

    (void)state;
    make();
    for (i = 0; i < MANY; i++) {
        gc_uuid_t other = gc_uuid_new();

        sessions[i] = gc_uuid_new();
        gc_ended_add(ended, &sessions[i], apr_time_now() + HOUR);
        assert_true(gc_ended_has(ended, &sessions[i]));
        assert_false(gc_ended_has(ended, &other));
    }
    for (i = 0; i < MANY; i++) {
        assert_true(gc_ended_has(ended, &sessions[i]));
    }
}

/* Ids that belong at the same place, and at the table's last one. */
static void test_same_place(void **state)
{
    enum { SAME = 500 };
    gc_uuid_t session;
    int first, i;

    (void)state;
    make();
    for (first = 0; first < 256; first += 255) {
        memset(session.bytes, first, sizeof(session.bytes));
        for (i = 0; i < SAME; i++) {
            session.bytes[14] = (unsigned char)(i / 256);
            session.bytes[15] = (unsigned char)i;
            assert_false(gc_ended_has(ended, &session));
            gc_ended_add(ended, &session, apr_time_now() + HOUR);
        }
        for (i = 0; i < SAME; i++) {
            session.bytes[14] = (unsigned char)(i / 256);
            session.bytes[15] = (unsigned char)i;
            assert_true(gc_ended_has(ended, &session));
        }
    }
}

static void test_past_is_left_behind(void **state)
{
    gc_uuid_t past[100], present = gc_uuid_new();
    int i;

    (void)state;
    make();
    gc_ended_add(ended, &present, apr_time_now() + HOUR);
    for (i = 0; i < 100; i++) {
        past[i] = gc_uuid_new();
        gc_ended_add(ended, &past[i], apr_time_now() - 1);
    }
    add_others(1000);
    for (i = 0; i < 100; i++) {
        assert_false(gc_ended_has(ended, &past[i]));
    }
    assert_true(gc_ended_has(ended, &present));
}

/* Told twice, the later end counts, in whatever order. */
static void test_the_later_counts(void **state)
{
    gc_uuid_t one = gc_uuid_new(), other = gc_uuid_new();
    apr_time_t soon = apr_time_now() + apr_time_from_msec(50);

    (void)state;
    make();
    gc_ended_add(ended, &one, soon);
    gc_ended_add(ended, &one, soon + HOUR);
    gc_ended_add(ended, &other, soon + HOUR);
    gc_ended_add(ended, &other, soon);
    apr_sleep(apr_time_from_msec(60));
    add_others(1000);
    assert_true(gc_ended_has(ended, &one));
    assert_true(gc_ended_has(ended, &other));
}

/* What is told again and again takes no more room: a place each would fill up the machine. */
static void test_again_and_again(void **state)
{
    gc_uuid_t sessions[10];
    int i;

    (void)state;
    make();
    for (i = 0; i < 10; i++) {
        sessions[i] = gc_uuid_new();
    }
    for (i = 0; i < 1000000; i++) {
        gc_ended_add(ended, &sessions[i % 10], apr_time_now() + HOUR);
    }
    for (i = 0; i < 10; i++) {
        assert_true(gc_ended_has(ended, &sessions[i]));
    }
}

/* --- Threads --------------------------------------------------------------- */

static struct {
    gc_uuid_t sessions[MANY];
    int added;  /* atomic */
    int missed; /* atomic */
} shared;

static void *APR_THREAD_FUNC read_task(apr_thread_t *thread, void *baton)
{
    int added, at = 0;

    (void)thread;
    (void)baton;
    while ((added = __atomic_load_n(&shared.added, __ATOMIC_ACQUIRE)) < MANY) {
        if (added > 0 && !gc_ended_has(ended, &shared.sessions[at = (at + 97) % added])) {
            __atomic_add_fetch(&shared.missed, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
    apr_thread_t *readers[3];
    apr_status_t rv;
    int i;

    (void)state;
    make();
    for (i = 0; i < 3; i++) {
        assert_int_equal(apr_thread_create(&readers[i], NULL, read_task, NULL, pool), APR_SUCCESS);
    }
    for (i = 0; i < MANY; i++) {
        shared.sessions[i] = gc_uuid_new();
        gc_ended_add(ended, &shared.sessions[i], apr_time_now() + HOUR);
        __atomic_store_n(&shared.added, i + 1, __ATOMIC_RELEASE);
    }
    for (i = 0; i < 3; i++) {
        apr_thread_join(&rv, readers[i]);
    }
    assert_int_equal(shared.missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_empty),
        FRAMED_TEST(test_many),
        FRAMED_TEST(test_same_place),
        FRAMED_TEST(test_past_is_left_behind),
        FRAMED_TEST(test_the_later_counts),
        FRAMED_TEST(test_again_and_again),
        FRAMED_TEST(test_readers_beside_a_writer),
    };

    return RUN_FRAMED(tests);
}
