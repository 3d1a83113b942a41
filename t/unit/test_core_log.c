/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the library's log messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A sink that takes what is at least as grave as `most`, and keeps the last. */
static struct {
    gc_log_level_e most, asked, level;
    int writes;
    char id[16], text[4096];
} sink;

static int enabled_cb(void *baton, gc_log_level_e level)
{
    assert_ptr_equal(baton, &sink);
    sink.asked = level;
    return level <= sink.most;
}

static void write_cb(void *baton, gc_log_level_e level, const char *id, const char *text)
{
    assert_ptr_equal(baton, &sink);
    assert_true(strlen(id) < sizeof(sink.id) && strlen(text) < sizeof(sink.text));
    sink.writes++;
    sink.level = level;
    strcpy(sink.id, id);
    strcpy(sink.text, text);
}

static const gc_log_t gc_sink = {enabled_cb, write_cb, &sink};

static int setup(void **state)
{
    (void)state;
    memset(&sink, 0, sizeof(sink));
    sink.most = GC_LOG_DEBUG;
    return 0;
}

static void test_formats(void **state)
{
    (void)state;
    gc_log(&gc_sink, GEM0402, "reply %ld: try %d of %s, %.3s, %5.1f%%", 42L, 3, "five", "abcdef",
           99.5);
    assert_int_equal(sink.writes, 1);
    assert_string_equal(sink.id, "GEM0402");
    assert_string_equal(sink.text, "reply 42: try 3 of five, abc,  99.5%");
}

static void test_cut_at_the_bound(void **state)
{
    static const size_t lengths[] = {0, 1, 998, 999, 1000, 1001, 5000};
    char text[5001];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(lengths); i++) {
        size_t expected = lengths[i] < 999 ? lengths[i] : 999;

        memset(text, 'x', lengths[i]);
        text[lengths[i]] = '\0';
        gc_log(&gc_sink, GEM0501, "%s", text);
        assert_int_equal(strlen(sink.text), expected);
        assert_memory_equal(sink.text, text, expected);
    }
}

/* What nobody wants is not even written down. */
static void test_disabled(void **state)
{
    int formatted = 0;

    (void)state;
    sink.most = GC_LOG_NOTICE;
    gc_log(&gc_sink, GEM0401, "x%n", &formatted); /* INFO */
    gc_log(&gc_sink, GEM0408, "x%n", &formatted); /* DEBUG */
    assert_int_equal(sink.writes, 0);
    assert_int_equal(formatted, 0);
    gc_log(&gc_sink, GEM0302, "x"); /* NOTICE */
    assert_int_equal(sink.writes, 1);
    gc_log(NULL, GEM0501, "x%n", &formatted);
    assert_int_equal(formatted, 0);
}

/* Each id goes out by its own name, under the level that the list gives it. */
static void test_list(void **state)
{
    static const struct {
        gc_log_id_e id;
        const char *name;
        gc_log_level_e level;
    } list[] = {
#define X(id, level, meaning) {id, #id, GC_LOG_##level},
#include "core/log_list.h"
#undef X
    };
    size_t i;

    (void)state;
    assert_int_equal(COUNT(list), GC_LOG_IDS);
    for (i = 0; i < COUNT(list); i++) {
        gc_log(&gc_sink, list[i].id, "text");
        assert_string_equal(sink.id, list[i].name);
        assert_int_equal(sink.level, list[i].level);
        assert_int_equal(sink.asked, list[i].level);
        assert_int_equal(strlen(list[i].name), 7);
        assert_int_equal(strspn(list[i].name + 3, "0123456789"), 4);
    }
    assert_int_equal(sink.writes, COUNT(list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_formats, setup),
        cmocka_unit_test_setup(test_cut_at_the_bound, setup),
        cmocka_unit_test_setup(test_disabled, setup),
        cmocka_unit_test_setup(test_list, setup),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
