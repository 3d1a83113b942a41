/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of traceparent: what is taken, what is not, and what is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/trace.h"
#include "frame.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void good_ones_are_read(void **state)
{
    static const struct {
        const char *text;
        int is_sampled;
    } cases[] = {
        {"00-" TRACE "-" SPAN "-01", 1},       {"00-" TRACE "-" SPAN "-00", 0},
        {"00-" TRACE "-" SPAN "-fe", 0},       {"00-" TRACE "-" SPAN "-ff", 1},
        {"01-" TRACE "-" SPAN "-03", 1},       {"fe-" TRACE "-" SPAN "-00", 0},
        {"cc-" TRACE "-" SPAN "-01-what", 1},  {"01-" TRACE "-" SPAN "-00-", 0},
        {"7f-" TRACE "-" SPAN "-09-a-b-c", 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_trace_t trace;

        assert_int_equal(gc_trace_parse(&trace, cases[i].text), APR_SUCCESS);
        assert_string_equal(trace.id, TRACE);
        assert_string_equal(trace.span, SPAN);
        assert_int_equal(trace.is_sampled, cases[i].is_sampled);
    }
}

static void others_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "-",
        "00",
        "00-",
        "00-" TRACE,
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-011",
        "00-" TRACE "-" SPAN "-01-",     /* version 00 has no more */
        "00-" TRACE "-" SPAN "-01-more", /* nor this */
        "01-" TRACE "-" SPAN "-01more",  /* a later one begins with '-' */
        "ff-" TRACE "-" SPAN "-01",      /* the one version that is none */
        "0-" TRACE "-" SPAN "-01",
        "000-" TRACE "-" SPAN "-01",
        "0x-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" TRACE "-" SPAN "-0A",
        "0A-" TRACE "-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47360-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01",
        "00-" TRACE "-00f067aa0ba902b-01",
        "00-" TRACE "_" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        " 00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-01 ",
        "00-" TRACE "-" SPAN "-01, 00-" TRACE "-" SPAN "-01", /* two headers */
        "00-" TRACE "-" SPAN "-01\n",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_trace_t trace;

        memset(&trace, 'x', sizeof(trace));
        if (gc_trace_parse(&trace, cases[i]) != GC_EINPUT) {
            fail_msg("'%s' was taken", cases[i]);
        }
        assert_string_equal(trace.id, "");
        assert_string_equal(trace.span, "");
    }
}

/* Flags that we know nothing of are not handed on, nor what a later version may have meant. */
static void what_is_written_is_version_00(void **state)
{
    char text[GC_TRACE_TEXT + 1];
    gc_trace_t trace;

    (void)state;
    assert_int_equal(gc_trace_parse(&trace, "cc-" TRACE "-" SPAN "-ff-more"), APR_SUCCESS);
    gc_trace_print(&trace, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-01");
    assert_int_equal(gc_trace_parse(&trace, "00-" TRACE "-" SPAN "-00"), APR_SUCCESS);
    gc_trace_print(&trace, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-00");
}

static void our_own_are_good_and_differ(void **state)
{
    gc_trace_t one, other, read;
    char text[GC_TRACE_TEXT + 1];

    (void)state;
    gc_trace_begin(&one);
    gc_trace_begin(&other);
    gc_trace_print(&one, text);
    assert_int_equal(gc_trace_parse(&read, text), APR_SUCCESS);
    assert_memory_equal(&read, &one, sizeof(one));
    assert_string_not_equal(one.id, other.id);
    assert_string_not_equal(one.span, other.span);
    gc_trace_span(other.span);
    assert_int_equal(strlen(other.span), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(good_ones_are_read),
        FRAMED_TEST(others_are_refused),
        FRAMED_TEST(what_is_written_is_version_00),
        FRAMED_TEST(our_own_are_good_and_differ),
    };

    return RUN_FRAMED(tests);
}
