/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the reader of event streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>

#include "upstream/sse.h"

#define MAX_EVENT 64

/* Events are written down as "<data>" and bare bodies as "!<data>". */
typedef struct {
    char log[1024];
    apr_size_t length;
    apr_status_t answer;
} record_t;

static apr_pool_t *pool;

static apr_status_t event_cb(void *baton, gc_sse_kind_e kind, const char *data, apr_size_t length)
{
    record_t *record = baton;
    char *to = record->log + record->length;

    assert_true(record->length + length + 4 < sizeof(record->log));
    if (kind == GC_SSE_BARE) {
        *to++ = '!';
    }
    *to++ = '<';
    if (length > 0) {
        memcpy(to, data, length);
    }
    to += length;
    *to++ = '>';
    *to = '\0';
    record->length = (apr_size_t)(to - record->log);
    return record->answer;
}

/* A copy of its own for each piece, so that the sanitizer sees a read beyond it. */
static apr_status_t feed(gc_sse_t *sse, const char *bytes, apr_size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    apr_status_t status;

    assert_non_null(copy);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    status = gc_sse_feed(sse, copy, length);
    free(copy);
    return status;
}

/* Reads a stream that is cut at two places. */
static apr_status_t read_cut(const char *stream, apr_size_t first, apr_size_t second,
                             record_t *record)
{
    apr_size_t length = strlen(stream);
    apr_pool_t *own;
    gc_sse_t *sse;
    apr_status_t status;

    memset(record, 0, sizeof(*record));
    apr_pool_create(&own, pool);
    sse = gc_sse_create(own, MAX_EVENT, event_cb, record);
    status = feed(sse, stream, first);
    if (status == APR_SUCCESS) {
        status = feed(sse, stream + first, second - first);
    }
    if (status == APR_SUCCESS) {
        status = feed(sse, stream + second, length - second);
    }
    if (status == APR_SUCCESS) {
        status = gc_sse_end(sse);
    }
    apr_pool_destroy(own);
    return status;
}

static void check_every_cut(const char *stream, const char *expected, apr_status_t end)
{
    apr_size_t length = strlen(stream), first, second;
    record_t record;

    for (first = 0; first <= length; first++) {
        for (second = first; second <= length; second++) {
            assert_int_equal(read_cut(stream, first, second, &record), end);
            assert_string_equal(record.log, expected);
        }
    }
}

static void check_byte_by_byte(const char *stream, const char *expected, apr_status_t end)
{
    record_t record = { .answer = APR_SUCCESS };
    gc_sse_t *sse = gc_sse_create(pool, MAX_EVENT, event_cb, &record);
    const char *at;

    for (at = stream; *at; at++) {
        assert_int_equal(feed(sse, at, 1), APR_SUCCESS);
    }
    assert_int_equal(gc_sse_end(sse), end);
    assert_string_equal(record.log, expected);
}

static void check(const char *stream, const char *expected, apr_status_t end)
{
    check_every_cut(stream, expected, end);
    check_byte_by_byte(stream, expected, end);
}

static void test_line_ends(void **state)
{
    (void)state;
    check("data: a\n\ndata: b\n\n", "<a><b>", APR_SUCCESS);
    check("data: a\r\rdata: b\r\r", "<a><b>", APR_SUCCESS);
    check("data: a\r\n\r\ndata: b\r\n\r\n", "<a><b>", APR_SUCCESS);
    check("data: a\n\r\ndata: b\r\n\rdata: c\r\n\n", "<a><b><c>", APR_SUCCESS);
    check("\n\n\r\r\n\ndata: a\n\n\n\n", "<a>", APR_SUCCESS);
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    check("\xEF\xBB\xBF" "data: a\n\n", "<a>", APR_SUCCESS);
    check("\xEF\xBB\xBF" "{\"bare\":1}", "!<{\"bare\":1}>", APR_SUCCESS);
    check("\xEF\xBB" "data: a\n\ndata: b\n\n", "<b>", APR_SUCCESS);
    check("\xEF\xBB\xBF\xEF\xBB\xBF" "data: a\n\ndata: b\n\n", "<b>", APR_SUCCESS);
    check("\xEF\xBB", "", APR_INCOMPLETE);
}

static void test_fields(void **state)
{
    (void)state;
    check("data:a\ndata:  b\n\n", "<a\n b>", APR_SUCCESS);
    check("data\n\ndata:\n\ndata\ndata\n\n", "<><><\n>", APR_SUCCESS);
    check(": comment\nevent: x\nid: 1\nretry: 5\ndata: a\ndatum: b\ndat: c\ndataa: d\n\n", "<a>",
          APR_SUCCESS);
    check("event: without data\n\n:\n\n", "", APR_SUCCESS);
    check(" data: a\n\nDATA: a\n\n", "", APR_SUCCESS);
    check("data: a: {b}\n\n", "<a: {b}>", APR_SUCCESS);
}

static void test_bare_body(void **state)
{
    static const char *const error = "{\n  \"error\": {\n\n\"code\": 503 }}\r\n";

    (void)state;
    check(error, "!<{\n  \"error\": {\n\n\"code\": 503 }}\r\n>", APR_SUCCESS);
    check("[{\"error\":1}]", "!<[{\"error\":1}]>", APR_SUCCESS);
    check("data: a\r\n\r\n{\"error\":\r1}", "<a>!<{\"error\":\r1}>", APR_SUCCESS);
    check("data: a\r{\n\"error\":1}", "!<{\n\"error\":1}>", APR_SUCCESS);
    check(" {\"error\":1}\n", "", APR_SUCCESS);
}

static void test_leftovers(void **state)
{
    (void)state;
    check("", "", APR_SUCCESS);
    check("data: a\n\ndata: b\n", "<a>", APR_INCOMPLETE);
    check("data: a\n\ndata: b", "<a>", APR_INCOMPLETE);
    check("data: a\n\ndata", "<a>", APR_INCOMPLETE);
    check("data: a\n\nda", "<a>", APR_INCOMPLETE);
    check("data: a\n\nid: 4", "<a>", APR_INCOMPLETE);
    check("data: a\n\nid: 4\n", "<a>", APR_SUCCESS);
}

static void test_bound(void **state)
{
    char fits[MAX_EVENT + 1], stream[2 * MAX_EVENT + 32];
    record_t record;

    (void)state;
    memset(fits, 'x', MAX_EVENT);
    fits[MAX_EVENT] = '\0';
    apr_snprintf(stream, sizeof(stream), "data: %s\n\ndata: %s\n\n", fits, fits);
    assert_int_equal(read_cut(stream, 9, 40, &record), APR_SUCCESS);
    assert_int_equal(record.length, 2 * (MAX_EVENT + 2));
    apr_snprintf(stream, sizeof(stream), "data: %s\ndata\n\n", fits);
    assert_int_equal(read_cut(stream, 9, 40, &record), APR_ENOSPC);
    apr_snprintf(stream, sizeof(stream), "{%s", fits);
    assert_int_equal(read_cut(stream, 9, 40, &record), APR_ENOSPC);
    apr_snprintf(stream, sizeof(stream), ":%s%s\n\n", fits, fits);
    assert_int_equal(read_cut(stream, 9, 40, &record), APR_SUCCESS);
}

static void test_callback_stops(void **state)
{
    static const char stream[] = "data: a\n\ndata: b\n\n";
    record_t record = { .answer = APR_EGENERAL };
    gc_sse_t *sse = gc_sse_create(pool, MAX_EVENT, event_cb, &record);

    (void)state;
    assert_int_equal(feed(sse, stream, sizeof(stream) - 1), APR_EGENERAL);
    assert_string_equal(record.log, "<a>");
}

static void test_growth(void **state)
{
    enum { SIZE = 100000 };
    record_t record = { .answer = APR_SUCCESS };
    char *data = malloc(SIZE);
    gc_sse_t *sse = gc_sse_create(pool, SIZE, event_cb, &record);
    int i;

    (void)state;
    assert_non_null(data);
    memset(data, 'x', SIZE);
    assert_int_equal(feed(sse, "data:", 5), APR_SUCCESS);
    for (i = 0; i < 10; i++) {
        assert_int_equal(feed(sse, data, SIZE / 10), APR_SUCCESS);
    }
    assert_int_equal(feed(sse, data, 1), APR_ENOSPC);
    free(data);
}

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    return apr_pool_create(&pool, NULL);
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
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bare_body),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_callback_stops),
        cmocka_unit_test(test_growth),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
