/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of events as they go out, and of replaying a whole reply.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <cmocka.h>

#include "stream/replay.h"

static apr_pool_t *pool;
static gc_membuf_t out;

static void check(apr_status_t status, const char *wanted)
{
    assert_int_equal(status, APR_SUCCESS);
    assert_int_equal(gc_membuf_append(&out, "", 1), APR_SUCCESS);
    assert_string_equal(out.bytes, wanted);
    gc_membuf_clear(&out);
}

/* --- Ids ------------------------------------------------------------------- */

static void test_ids(void **state)
{
    static const struct {
        const char *text;
        gc_event_id_t id;
    } good[] = {
        {NULL, {0}},
        {"", {0}},
        {"0-0", {0}},
        {"7-123", {.fence = 7, .offset = 123}},
        {"7-end", {.fence = 7, .is_end = 1}},
        {"999999999999999-999999999999999", {.fence = 999999999999999, .offset = 999999999999999}},
        {"007-01", {.fence = 7, .offset = 1}},
    };
    static const char *const bad[] = {"-",
                                      "1",
                                      "1-",
                                      "-1",
                                      "a-1",
                                      "1-a",
                                      "1-1 ",
                                      " 1-1",
                                      "1--1",
                                      "1-1-1",
                                      "1-endx",
                                      "1-END",
                                      "+1-1",
                                      "1-1\n",
                                      "9999999999999999-1",
                                      "1-9999999999999999",
                                      "\xff-\xff"};
    gc_event_id_t id;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(gc_event_id_parse(good[i].text, &id), APR_SUCCESS);
        assert_int_equal(id.fence, good[i].id.fence);
        assert_int_equal(id.offset, good[i].id.offset);
        assert_int_equal(id.is_end, good[i].id.is_end);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(gc_event_id_parse(bad[i], &id), GC_EINPUT);
    }
}

/* --- Frames ---------------------------------------------------------------- */

static void test_frames(void **state)
{
    const gc_event_id_t id = {.fence = 3, .offset = 14}, end = {.fence = 3, .is_end = 1};
    apr_status_t rv = APR_SUCCESS;

    (void)state;
    gc_frame_retry(&out, apr_time_from_msec(2000), &rv);
    check(rv, "retry: 2000\n\n");
    gc_frame_heartbeat(&out, &rv);
    check(rv, ":\n\n");
    gc_frame_event(&out, &end, "done", "{\"id\":1}", 8, &rv);
    check(rv, "id: 3-end\nevent: done\ndata: {\"id\":1}\n\n");
    gc_frame_delta(&out, &id, "a\"\\\n\r\t\x01\x7f/\xc3\xa4\xf0\x9f\x8e\x88", 15, &rv);
    check(rv, "id: 3-14\nevent: delta\ndata: {\"text\":"
              "\"a\\\"\\\\\\n\\r\\t\\u0001\x7f/\xc3\xa4\xf0\x9f\x8e\x88\"}\n\n");
}

static void test_bound(void **state)
{
    const gc_event_id_t id = {.fence = 1, .offset = 1};
    static gc_membuf_t small; /* the pool outlives this function */
    apr_status_t rv = APR_SUCCESS;

    (void)state;
    gc_membuf_init(&small, pool, 20);
    gc_frame_delta(&small, &id, "x", 1, &rv);
    assert_int_equal(rv, APR_ENOSPC);
}

static void test_whole_characters(void **state)
{
    static const char text[] =
        "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\x88z"; /* 1 + 2 + 3 + 4 + 1 bytes */
    static const int wanted[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    apr_size_t most;

    (void)state;
    for (most = 0; most < sizeof(wanted) / sizeof(wanted[0]); most++) {
        assert_int_equal(gc_frame_whole(text, 11, most), wanted[most]);
    }
    assert_int_equal(gc_frame_whole(text, 2, 100), 1); /* the text ends in the middle of one */
    assert_int_equal(gc_frame_whole("\x80\x80\x80\x80\x80", 5, 5), 5); /* no UTF-8: it goes on */
}

/* --- Replays --------------------------------------------------------------- */

static void check_replay(const char *from, const char *status, const char *wanted)
{
    gc_message_t message = {.status = status, .content = "h\xc3\xa4ll", .fence = 4};
    gc_event_id_t id;
    apr_status_t rv = APR_SUCCESS;

    assert_int_equal(gc_event_id_parse(from, &id), APR_SUCCESS);
    gc_replay_all(&out, &id, &message, "{}", &rv);
    check(rv, wanted);
}

#define RESET "id: 4-0\nevent: reset\ndata: {}\n\n"
#define ALL "id: 4-5\nevent: delta\ndata: {\"text\":\"h\xc3\xa4ll\"}\n\n"
#define DONE "id: 4-end\nevent: done\ndata: {}\n\n"

static void test_replay(void **state)
{
    (void)state;
    check_replay("", "done", ALL DONE);
    check_replay("0-0", "done", ALL DONE);
    check_replay("4-0", "done", ALL DONE);
    check_replay("4-3", "done", "id: 4-5\nevent: delta\ndata: {\"text\":\"ll\"}\n\n" DONE);
    check_replay("4-5", "done", DONE);
    check_replay("4-2", "done", RESET ALL DONE); /* within a character */
    check_replay("4-6", "done", RESET ALL DONE); /* behind the text */
    check_replay("3-1", "done", RESET ALL DONE); /* of another try */
    check_replay("3-0", "done", ALL DONE);       /* of which nothing had come */
    check_replay("4-5", "cancelled", DONE);
    check_replay("4-5", "failed", "id: 4-end\nevent: error\ndata: {}\n\n");
}

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    gc_membuf_init(&out, pool, 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    apr_terminate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),    cmocka_unit_test(test_frames),
        cmocka_unit_test(test_bound),  cmocka_unit_test(test_whole_characters),
        cmocka_unit_test(test_replay),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
