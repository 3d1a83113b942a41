/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of JSON: what is read, what is refused, and who owns it.
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

#include "core/json.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A copy without a byte behind it, so that the sanitizer sees a read beyond it. */
static apr_status_t parse_bytes(const char *text, apr_size_t len, json_t **value, const char **why)
{
    char *copy = malloc(len ? len : 1);
    apr_status_t rv;

    assert_non_null(copy);
    memcpy(copy, text, len);
    rv = gc_json_parse(pool, copy, len, value, why);
    free(copy);
    return rv;
}

static apr_status_t parse(const char *text, json_t **value, const char **why)
{
    return parse_bytes(text, strlen(text), value, why);
}

static json_t *parse_good(const char *text)
{
    const char *why = NULL;
    json_t *value = NULL;

    if (parse(text, &value, &why) != APR_SUCCESS) {
        fail_msg("refused %s: %s", text, why);
    }
    assert_non_null(value);
    return value;
}

/* --- What is read ---------------------------------------------------------- */

static void test_values(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "\"\"",
        "\"text\"",
        "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}",
        "{\"b\":1,\"a\":2}", /* the order stays */
        "9223372036854775807",
        "-9223372036854775808",
        "{\"\":1}",
        "[{\"a\":1},{\"a\":1}]",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\xF0\x9F\x98\x80\xC3\xA4\"",
    };
    apr_size_t i, len;

    (void)state;
    for (i = 0; i < COUNT(texts); i++) {
        assert_string_equal(gc_json_text(pool, parse_good(texts[i]), &len), texts[i]);
        assert_int_equal(len, strlen(texts[i]));
    }
}

static void test_spellings(void **state)
{
    static const struct {
        const char *text, *compact;
    } cases[] = {
        {" \t\r\n{ \"a\" : [ 1 , 2 ] }\n", "{\"a\":[1,2]}"},
        {"\"\\u00e4\\/\\b\\f\\n\\r\\t\\\\\\\"\"", "\"\xC3\xA4/\\b\\f\\n\\r\\t\\\\\\\"\""},
        {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},
        {"\"\xEF\xBF\xBF\"", "\"\xEF\xBF\xBF\""},
        {"1e2", "100.0"},
        {"1e-999", "0.0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_string_equal(gc_json_text(pool, parse_good(cases[i].text), NULL), cases[i].compact);
    }
}

/* --- How deep -------------------------------------------------------------- */

/* "[[[…]]]", or {"a":{"a":…}} */
static const char *nested(int depth, const char *open, const char *inner, const char *close)
{
    const char *text = inner;

    while (depth-- > 0) {
        text = apr_pstrcat(pool, open, text, close, NULL);
    }
    return text;
}

static void test_depth(void **state)
{
    static const struct {
        const char *open, *close;
    } kinds[] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"[{\\\"\":0},", "]"}};
    const char *why = NULL;
    json_t *value;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        parse_good(nested(GC_JSON_DEPTH, kinds[i].open, "0", kinds[i].close));
        assert_int_equal(
            parse(nested(GC_JSON_DEPTH + 1, kinds[i].open, "0", kinds[i].close), &value, &why),
            GC_EINPUT);
        assert_string_equal(why, "The JSON is nested more than 32 levels deep.");
    }
    /* What was closed does not count, nor does what stands in strings. */
    parse_good(nested(GC_JSON_DEPTH - 1, kinds[2].open, "0", kinds[2].close));
    assert_int_equal(parse(nested(GC_JSON_DEPTH, kinds[2].open, "0", kinds[2].close), &value, &why),
                     GC_EINPUT);
}

/* Whoever counts wrong lets Jansson, which recurses, go as deep as this is. */
static void test_depth_hidden(void **state)
{
    static const char *const fronts[] = {"", "\"\\\\\",", "\"\\\"\",", "\"]]]]\",", "\"\\u005d\","};
    const char *deep = nested(5000, "[", "", "]"), *why = NULL;
    json_t *value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(fronts); i++) {
        assert_int_equal(parse(apr_pstrcat(pool, "[", fronts[i], deep, "]", NULL), &value, &why),
                         GC_EINPUT);
        assert_string_equal(why, "The JSON is nested more than 32 levels deep.");
    }
    assert_int_equal(parse(apr_pstrcat(pool, "]]]]", deep, NULL), &value, &why), GC_EINPUT);
    assert_int_equal(parse(apr_pstrcat(pool, "\"", deep, NULL), &value, &why), GC_EINPUT);
}

static void test_values_are_counted(void **state)
{
    static const struct {
        const char *text;
        apr_size_t values;
    } cases[] = {
        {"0", 1}, {"[0,1,2]", 4}, {"{\"a\":[1,2],\"b\":\",,,[\"}", 5}, {"\"a,b\\\",c\"", 1}};
    char *long_list = apr_palloc(pool, 2 * GC_JSON_VALUES + 3);
    const char *why = NULL;
    json_t *value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        apr_size_t len = strlen(text), values = cases[i].values;

        assert_int_equal(gc_json_parse_within(pool, text, len, values, &value, &why), APR_SUCCESS);
        assert_int_equal(gc_json_parse_within(pool, text, len, values - 1, &value, &why),
                         GC_EINPUT);
        assert_string_equal(
            why, apr_psprintf(pool, "The JSON has more than %d values.", (int)values - 1));
    }
    memset(long_list, '0', 2 * GC_JSON_VALUES + 2);
    for (i = 0; i < GC_JSON_VALUES - 2; i++) {
        long_list[2 * i + 2] = ',';
    }
    long_list[0] = '[';
    strcpy(long_list + 2 * i + 2, "]"); /* as many as there may be */
    parse_good(long_list);
    strcpy(long_list + 2 * i + 2, ",0]");
    assert_int_equal(parse(long_list, &value, &why), GC_EINPUT);
    assert_string_equal(why, "The JSON has more than 100000 values.");
}

static void test_braces_in_strings(void **state)
{
    char braces[101];
    json_t *value;

    (void)state;
    memset(braces, '{', 100);
    braces[100] = '\0';
    value = parse_good(
        apr_psprintf(pool, "[\"%s\",\"\\\"%s\",\"\\\\\\\"%s\",\"\\\\\"]", braces, braces, braces));
    assert_int_equal(json_array_size(value), 4);
    assert_string_equal(json_string_value(json_array_get(value, 0)), braces);
    assert_string_equal(json_string_value(json_array_get(value, 3)), "\\");
}

/* --- What is refused ------------------------------------------------------- */

#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void test_refused(void **state)
{
    static const struct {
        const char *bytes;
        apr_size_t len;
    } cases[] = {
        BYTES(""),
        BYTES(" "),
        BYTES("{"),
        BYTES("["),
        BYTES("\""),
        BYTES("\"\\"),
        BYTES("\"a"),
        BYTES("{\"a\""),
        BYTES("{\"a\":"),
        BYTES("{\"a\":1,"),
        BYTES("{\"a\":1,}"),
        BYTES("[1,]"),
        BYTES("{} {}"),
        BYTES("{}x"),
        BYTES("]"),
        BYTES("}"),
        BYTES("[}"),
        BYTES("{]"),
        BYTES("{a:1}"),
        BYTES("{'a':1}"),
        BYTES("{1:1}"),
        BYTES("nul"),
        BYTES("NULL"),
        BYTES("True"),
        BYTES("NaN"),
        BYTES("Infinity"),
        BYTES("-"),
        BYTES("01"),
        BYTES("+1"),
        BYTES(".5"),
        BYTES("1."),
        BYTES("0x1"),
        BYTES("1e"),
        BYTES("// c\n1"),
        BYTES("/* c */1"),
        BYTES("\xEF\xBB\xBF{}"),    /* a byte order mark */
        BYTES("{\"a\":1,\"a\":2}"), /* a member twice */
        BYTES("{\"a\":{\"b\":1,\"b\":1}}"),
        BYTES("{\"a\":1,\"\\u0061\":2}"), /* spelt otherwise */
        BYTES("\"\0\""),
        BYTES("{}\0"),
        BYTES("\0{}"),
        BYTES("\"a\nb\""),
        BYTES("\"\x01\""),
        BYTES("{\"a\\u0000b\":1}"), /* NUL in a member's name */
        BYTES("\"\\x41\""),
        BYTES("\"\\u12\""),
        BYTES("\"\\u12g4\""),
        BYTES("\"\\'\""),
        /* Surrogates without their other half. */
        BYTES("\"\\ud800\""),
        BYTES("\"\\udc00\""),
        BYTES("\"\\ud800\\ud800\""),
        BYTES("\"\\ud800\\u0041\""),
        BYTES("\"\\udc00\\ud800\""),
        BYTES("\"\\ud800x\""),
        /* What is not UTF-8: cut, alone, too long, surrogates, beyond U+10FFFF, Latin-1. */
        BYTES("\"\xC3\""),
        BYTES("\"\xE2\x82\""),
        BYTES("\"\xF0\x9F\x98\""),
        BYTES("\"\x80\""),
        BYTES("\"\xC0\x80\""),
        BYTES("\"\xC1\xBF\""),
        BYTES("\"\xE0\x80\x80\""),
        BYTES("\"\xF0\x80\x80\x80\""),
        BYTES("\"\xED\xA0\x80\""),
        BYTES("\"\xED\xB0\x80\""),
        BYTES("\"\xF4\x90\x80\x80\""),
        BYTES("\"\xF8\x88\x80\x80\x80\""),
        BYTES("\"\xFF\""),
        BYTES("\"\xE4\""),
        BYTES("{\"\xFF\":1}"),
        /* Numbers that nothing of ours could hold. */
        BYTES("9223372036854775808"),
        BYTES("-9223372036854775809"),
        BYTES("1e999"),
        BYTES("-1e999"),
        BYTES("1000000000000000000000000000000000000000000000000000000000000000000000000000000000"),
    };
    const char *why;
    json_t *value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        why = NULL;
        if (parse_bytes(cases[i].bytes, cases[i].len, &value, &why) != GC_EINPUT) {
            fail_msg("case %d is accepted: %s", (int)i, cases[i].bytes);
        }
        assert_non_null(why);
    }
}

/* A client is told where, and never gets back what it sent. */
static void test_why(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{\"a\":<script>}", "The body is not JSON: it breaks at line 1, column 6."},
        {"{\n  \"a\": x\n}", "The body is not JSON: it breaks at line 2, column 8."},
    };
    const char *why;
    json_t *value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].text, &value, &why), GC_EINPUT);
        assert_string_equal(why, cases[i].why);
    }
}

/* Every prefix of a good text, and every byte of it exchanged: no crash, no leak. */
static void test_broken_anywhere(void **state)
{
    static const char good[] =
        "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\\\"{\"],\"b\":{\"c\":null,\"d\":true}}";
    char text[sizeof(good)];
    const char *why;
    json_t *value;
    apr_size_t at;
    int byte;

    (void)state;
    for (at = 0; at < sizeof(good) - 1; at++) {
        assert_int_equal(parse_bytes(good, at, &value, &why), GC_EINPUT);
        for (byte = 0; byte < 256; byte++) {
            memcpy(text, good, sizeof(good));
            text[at] = (char)byte;
            (void)!parse_bytes(text, sizeof(good) - 1, &value, &why);
        }
    }
}

/* --- Who owns it ----------------------------------------------------------- */

static void test_parsed_is_the_pools(void **state)
{
    apr_pool_t *own;
    const char *why;
    json_t *value;

    (void)state;
    apr_pool_create(&own, pool);
    assert_int_equal(gc_json_parse(own, "{\"a\":[1]}", 9, &value, &why), APR_SUCCESS);
    assert_int_equal(value->refcount, 1);
    json_incref(value);
    apr_pool_clear(own);
    assert_int_equal(value->refcount, 1);
    assert_int_equal(json_object_size(value), 1);
    json_decref(value);
}

static void test_own(void **state)
{
    json_t *value = json_array(), *member = json_string("member");
    apr_pool_t *own;

    (void)state;
    assert_null(gc_json_own(pool, NULL));
    apr_pool_create(&own, pool);
    assert_ptr_equal(gc_json_own(own, value), value);
    json_array_append(value, member);
    assert_int_equal(member->refcount, 2);
    apr_pool_destroy(own);
    assert_int_equal(member->refcount, 1);
    json_decref(member);
}

/* --- What is written ------------------------------------------------------- */

/* Longer than any room that the writer begins with, in pieces of all sizes. */
static void test_text_of_any_length(void **state)
{
    apr_size_t len, size;

    (void)state;
    for (size = 0; size < 5000; size = size < 1100 ? size + 1 : 2 * size) {
        char *text = apr_palloc(pool, size + 1);
        json_t *value = json_array();
        const char *written;

        memset(text, 'x', size);
        text[size] = '\0';
        json_array_append_new(value, json_string(text));
        json_array_append_new(value, json_integer(7));
        written = gc_json_text(pool, value, &len);
        assert_int_equal(len, size + 6);
        assert_int_equal(strlen(written), len);
        assert_memory_equal(written, "[\"", 2);
        assert_memory_equal(written + 2, text, size);
        assert_string_equal(written + 2 + size, "\",7]");
        json_decref(value);
    }
}

static void test_text_of_nothing(void **state)
{
    apr_size_t len = 42;

    (void)state;
    assert_null(gc_json_text(pool, NULL, &len));
    assert_null(gc_json_text(pool, NULL, NULL));
}

static void test_written_in_pieces(void **state)
{
    gc_json_writer_t *writer = gc_json_writer_create(pool);
    json_t *value = json_integer(7);
    apr_size_t len;

    (void)state;
    assert_string_equal(gc_json_written(writer, &len), "");
    assert_int_equal(len, 0);
    gc_json_write_raw(writer, "[\"first\",");
    assert_string_equal(gc_json_written(writer, &len), "[\"first\",");
    gc_json_writer_clear(writer);
    gc_json_write(writer, value);
    gc_json_write_raw(writer, "]");
    assert_string_equal(gc_json_written(writer, &len), "7]");
    assert_int_equal(len, 2);
    gc_json_write(writer, NULL);
    gc_json_writer_clear(writer);
    assert_null(gc_json_written(writer, &len)); /* what failed stays so: a piece is missing */
    json_decref(value);
}

static void test_string_or_null(void **state)
{
    json_t *text = gc_json_string_or_null("a"), *null = gc_json_string_or_null(NULL);

    (void)state;
    assert_string_equal(json_string_value(text), "a");
    assert_true(json_is_null(null));
    json_decref(text);
    json_decref(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_values),
        FRAMED_TEST(test_spellings),
        FRAMED_TEST(test_depth),
        FRAMED_TEST(test_depth_hidden),
        FRAMED_TEST(test_values_are_counted),
        FRAMED_TEST(test_braces_in_strings),
        FRAMED_TEST(test_refused),
        FRAMED_TEST(test_why),
        FRAMED_TEST(test_broken_anywhere),
        FRAMED_TEST(test_parsed_is_the_pools),
        FRAMED_TEST(test_own),
        FRAMED_TEST(test_text_of_any_length),
        FRAMED_TEST(test_text_of_nothing),
        FRAMED_TEST(test_written_in_pieces),
        FRAMED_TEST(test_string_or_null),
    };

    return RUN_FRAMED(tests);
}
