/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the small values: units, UUIDs, phone numbers, times, cursors, weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>

#include "core/cursor.h"
#include "core/phone.h"
#include "core/rfc3339.h"
#include "core/unit.h"
#include "core/uuid.h"
#include "core/weight.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a value must be where its text must be refused. */
#define REFUSED INT64_MIN

static apr_pool_t *pool;

/* --- Units ----------------------------------------------------------------- */

typedef struct {
    const char *text;
    apr_int64_t value;
} unit_case_t;

static void check_units(apr_status_t (*parse)(const char *, apr_int64_t *),
                        const unit_case_t *cases, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        apr_int64_t value = REFUSED;
        apr_status_t rv = parse(cases[i].text, &value);

        if (value != cases[i].value || rv != (value == REFUSED ? GC_EINPUT : APR_SUCCESS)) {
            fail_msg("\"%s\": status %d, value %lld, but %lld expected", cases[i].text, rv,
                     (long long)value, (long long)cases[i].value);
        }
    }
}

static void test_durations(void **state)
{
    static const unit_case_t cases[] = {
        {"0", 0},
        {"5", 5 * APR_USEC_PER_SEC},
        {"007", 7 * APR_USEC_PER_SEC},
        {"250ms", 250 * 1000},
        {"15s", 15 * APR_USEC_PER_SEC},
        {"5min", 300 * APR_USEC_PER_SEC},
        {"1h", 3600 * APR_USEC_PER_SEC},
        {"7d", 7 * 86400 * APR_USEC_PER_SEC},
        {"2MIN", 120 * APR_USEC_PER_SEC},
        {"3Ms", 3000},
        /* The most that fits, and one more. */
        {"9223372036854s", INT64_C(9223372036854) * APR_USEC_PER_SEC},
        {"9223372036855s", REFUSED},
        {"106751991d", INT64_C(106751991) * 86400 * APR_USEC_PER_SEC},
        {"106751992d", REFUSED},
        {"9223372036854775ms", INT64_C(9223372036854775) * 1000},
        {"9223372036854776ms", REFUSED},
        /* At most 18 digits. */
        {"000000000000000001", APR_USEC_PER_SEC},
        {"0000000000000000001", REFUSED},
        {"18446744073709551617", REFUSED},
        {"", REFUSED},
        {"s", REFUSED},
        {"-1s", REFUSED},
        {"-0", REFUSED},
        {"+1s", REFUSED},
        {"1.5s", REFUSED},
        {"0x10", REFUSED},
        {"1 s", REFUSED},
        {" 1s", REFUSED},
        {"1s ", REFUSED},
        {"1m", REFUSED},
        {"1K", REFUSED},
        {"1sec", REFUSED},
        {"1s1s", REFUSED},
        {"1\xC2\xB5s", REFUSED},
        {"\xD9\xA1s", REFUSED},
    };

    (void)state;
    check_units(gc_unit_duration, cases, COUNT(cases));
}

static void test_sizes(void **state)
{
    static const unit_case_t cases[] = {
        {"0", 0},
        {"512", 512},
        {"256K", 256 * 1024},
        {"16M", 16 * 1024 * 1024},
        {"1G", 1024 * 1024 * 1024},
        {"2g", INT64_C(2) * 1024 * 1024 * 1024},
        {"8589934591G", INT64_C(8589934591) * 1024 * 1024 * 1024},
        {"8589934592G", REFUSED},
        {"999999999999999999", 999999999999999999},
        {"1000000000000000000", REFUSED},
        {"", REFUSED},
        {"K", REFUSED},
        {"-1", REFUSED},
        {"1KB", REFUSED},
        {"1KiB", REFUSED},
        {"1T", REFUSED},
        {"1s", REFUSED},
        {"1,000", REFUSED},
    };

    (void)state;
    check_units(gc_unit_size, cases, COUNT(cases));
}

static void test_integers(void **state)
{
    static const unit_case_t cases[] = {
        {"0", 0},
        {"-0", 0},
        {"42", 42},
        {"-42", -42},
        {"010", 10},
        {"9007199254740992", INT64_C(1) << 53},
        {"999999999999999999", 999999999999999999},
        {"-999999999999999999", -999999999999999999},
        {"1000000000000000000", REFUSED},
        {"9223372036854775808", REFUSED},
        {"", REFUSED},
        {"-", REFUSED},
        {"--1", REFUSED},
        {"+1", REFUSED},
        {"1K", REFUSED},
        {"1s", REFUSED},
        {"1-", REFUSED},
        {"1.0", REFUSED},
        {"1e3", REFUSED},
        {" 1", REFUSED},
        {"1\n", REFUSED},
    };

    (void)state;
    check_units(gc_unit_integer, cases, COUNT(cases));
}

/* --- UUIDs ----------------------------------------------------------------- */

static const char uuid_text[] = "01234567-89ab-cdef-fedc-ba9876543210";
static const gc_uuid_t uuid = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba,
                                0x98, 0x76, 0x54, 0x32, 0x10}};

static void test_uuid_both_ways(void **state)
{
    static const gc_uuid_t zero,
        ones = {{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};
    gc_uuid_t read;

    (void)state;
    assert_int_equal(gc_uuid_parse(&read, uuid_text, GC_UUID_TEXT), APR_SUCCESS);
    assert_memory_equal(read.bytes, uuid.bytes, sizeof(uuid.bytes));
    assert_int_equal(gc_uuid_parse(&read, "01234567-89AB-cDeF-FEDC-BA9876543210", GC_UUID_TEXT),
                     APR_SUCCESS);
    assert_memory_equal(read.bytes, uuid.bytes, sizeof(uuid.bytes));
    assert_string_equal(gc_uuid_text(pool, &uuid), uuid_text);
    assert_string_equal(gc_uuid_text(pool, &zero), "00000000-0000-0000-0000-000000000000");
    assert_string_equal(gc_uuid_text(pool, &ones), "ffffffff-ffff-ffff-ffff-ffffffffffff");
}

/* Each wrong character at each place, each wrong length. */
static void test_uuid_wrong_forms(void **state)
{
    static const char wrong[] = {'g',  'G', '-', ' ', '_', '.', '{',   '\0',
                                 '\n', '/', ':', '@', '`', '0', '\xC3'};
    char text[GC_UUID_TEXT + 2];
    gc_uuid_t read;
    apr_size_t at, i;

    (void)state;
    for (at = 0; at < GC_UUID_TEXT; at++) {
        for (i = 0; i < COUNT(wrong); i++) {
            int hyphen = uuid_text[at] == '-';

            memcpy(text, uuid_text, sizeof(uuid_text));
            text[at] = wrong[i];
            if (wrong[i] == (hyphen ? '-' : '0')) {
                continue; /* that one is right there */
            }
            if (gc_uuid_parse(&read, text, GC_UUID_TEXT) != GC_EINPUT) {
                fail_msg("accepted \\x%02x at %d", (unsigned char)wrong[i], (int)at);
            }
        }
    }
    memcpy(text, uuid_text, sizeof(uuid_text));
    text[GC_UUID_TEXT] = '0';
    for (i = 0; i < sizeof(text); i++) {
        assert_int_equal(gc_uuid_parse(&read, text, i),
                         i == GC_UUID_TEXT ? APR_SUCCESS : GC_EINPUT);
    }
    assert_int_equal(gc_uuid_parse(&read, "0123456789abcdeffedcba9876543210----", 36), GC_EINPUT);
    assert_int_equal(gc_uuid_parse(&read, "012345-6-89ab-cdef-fedc-ba98-6543210", 36), GC_EINPUT);
}

static void test_uuid_equal(void **state)
{
    gc_uuid_t other = uuid;

    (void)state;
    assert_true(gc_uuid_equal(&uuid, &other));
    other.bytes[15] ^= 1;
    assert_false(gc_uuid_equal(&uuid, &other));
    other = uuid;
    other.bytes[0] ^= 0x80;
    assert_false(gc_uuid_equal(&uuid, &other));
}

/* --- Phone numbers --------------------------------------------------------- */

static void test_phone(void **state)
{
    static const struct {
        const char *number, *country_code, *e164; /* NULL: refused */
    } cases[] = {
        {"+15551234567", "+91", "+15551234567"},
        {"1231199999", "+1", "+11231199999"}, /* the seed's */
        {"98765 43210", "+91", "+919876543210"},
        {"(555) 123-4567", "+1", "+15551234567"},
        {"+1 (555) 123.45-67", "+91", "+15551234567"},
        {"+49 30 123456", "+1", "+4930123456"},
        /* 7 to 15 digits, the country's with them. */
        {"+1234567", "+1", "+1234567"},
        {"+123456", "+1", NULL},
        {"123456", "+1", "+1123456"},
        {"12345", "+1", NULL},
        {"+123456789012345", "+1", "+123456789012345"},
        {"+1234567890123456", "+1", NULL},
        {"12345678901234", "+1", "+112345678901234"},
        {"123456789012345", "+1", NULL},
        {"12345678901", "+1234", "+123412345678901"},
        {"123456789012", "+1234", NULL},
        /* Blanks do not count, and many of them do no harm. */
        {"+1----------------------------------------------234567", "+1", "+1234567"},
        {"", "+1", NULL},
        {"+", "+1", NULL},
        {"()", "+1", NULL},
        {"+0123456789", "+1", NULL},
        {"++15551234567", "+1", NULL},
        {"1+5551234567", "+1", NULL},
        {"5551234567+", "+1", NULL},
        {"555123456a", "+1", NULL},
        {"555/1234567", "+1", NULL},
        {"5551234567\n", "+1", NULL},
        {"555\t1234567", "+1", NULL},
        {"tel:+15551234567", "+1", NULL},
        {"*5551234567", "+1", NULL},
        {"\xEF\xBC\x91\x35\x35\x35\x31\x32\x33\x34", "+1", NULL}, /* U+FF11 */
        {"\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4\xD9\xA5\xD9\xA6\xD9\xA7", "+1",
         NULL}, /* Arabic digits */
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *e164 = NULL;
        apr_status_t rv = gc_phone_e164(pool, cases[i].number, cases[i].country_code, &e164);

        if (rv != (cases[i].e164 ? APR_SUCCESS : GC_EINPUT)
            || (cases[i].e164 && strcmp(e164, cases[i].e164) != 0)) {
            fail_msg("\"%s\" with %s: status %d, %s", cases[i].number, cases[i].country_code, rv,
                     e164 ? e164 : "nothing");
        }
    }
}

static void test_phone_masked(void **state)
{
    (void)state;
    assert_string_equal(gc_phone_masked(pool, "+15551234567"), "+15*******67");
    assert_string_equal(gc_phone_masked(pool, "+1234567"), "+12***67");
    assert_string_equal(gc_phone_masked(pool, "+12345"), "+12*45");
    assert_string_equal(gc_phone_masked(pool, "+1234"), "+1234");
    assert_string_equal(gc_phone_masked(pool, ""), "");
}

/* --- Times ----------------------------------------------------------------- */

static void test_rfc3339(void **state)
{
    static const struct {
        apr_time_t time;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {951827696789012, "2000-02-29T12:34:56.789012Z"},
        {1795409257990896, "2026-11-23T04:47:37.990896Z"},
        {1709251199999999, "2024-02-29T23:59:59.999999Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_string_equal(gc_rfc3339(pool, cases[i].time), cases[i].text);
    }
}

static void test_days(void **state)
{
    static const struct {
        const char *text;
        apr_int64_t seconds; /* or REFUSED */
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-02", 86400},
        {"2000-02-29", 951782400},
        {"2024-02-29", 1709164800},
        {"2026-12-31", 1798675200},
        {"2028-02-29", 1835395200},
        {"2099-12-31", 4102358400},
        /* Days that there are not. */
        {"2023-02-29", REFUSED},
        {"2100-02-29", REFUSED},
        {"2024-02-30", REFUSED},
        {"2024-04-31", REFUSED},
        {"2024-01-32", REFUSED},
        {"2024-01-00", REFUSED},
        {"2024-00-01", REFUSED},
        {"2024-13-01", REFUSED},
        /* Other ways to write them. */
        {"", REFUSED},
        {"2024-1-1", REFUSED},
        {"24-01-01", REFUSED},
        {"2024-01-01 ", REFUSED},
        {" 2024-01-01", REFUSED},
        {"2024-01-01T00:00:00Z", REFUSED},
        {"2024/01/01", REFUSED},
        {"20240101", REFUSED},
        {"+024-01-01", REFUSED},
        {"2024--1-01", REFUSED},
        {"2024-01-0x", REFUSED},
        {"tomorrow!!", REFUSED},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        apr_time_t begins = 0;
        apr_status_t rv = gc_rfc3339_day(cases[i].text, &begins);
        apr_int64_t seconds = rv == APR_SUCCESS ? apr_time_sec(begins) : REFUSED;

        if (seconds != cases[i].seconds || (rv != APR_SUCCESS && rv != GC_EINPUT)) {
            fail_msg("%s: status %d, %lld s", cases[i].text, rv, (long long)seconds);
        }
    }
}

/* --- Cursors --------------------------------------------------------------- */

static const apr_int64_t numbers[] = {0, 1, 255, 256, 1795409257990896, INT64_C(1) << 53};

static void test_cursor_both_ways(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(numbers); i++) {
        gc_cursor_t cursor = {.number = numbers[i], .id = uuid}, read = {.number = 42};
        const char *text = gc_cursor_text(pool, &cursor);

        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
                         32);
        assert_int_equal(strlen(text), 32);
        assert_int_equal(gc_cursor_parse(text, &read), APR_SUCCESS);
        assert_true(read.number == numbers[i]);
        assert_true(gc_uuid_equal(&read.id, &uuid));
    }
}

/* Whatever a client makes up is refused or is one cursor only: it never reads the
 * same as another text, and nothing breaks. */
static void test_cursor_made_up(void **state)
{
    gc_cursor_t cursor = {.number = 1795409257990896, .id = uuid}, read;
    const char *good = gc_cursor_text(pool, &cursor);
    char text[40];
    int at, bit, len;

    (void)state;
    for (len = 0; len < 32; len++) {
        apr_cpystrn(text, good, (apr_size_t)len + 1);
        assert_int_equal(gc_cursor_parse(text, &read), GC_EINPUT);
    }
    for (at = 0; at < 32; at++) {
        for (bit = 0; bit < 8; bit++) {
            apr_cpystrn(text, good, sizeof(text));
            text[at] = (char)(text[at] ^ 1 << bit);
            if (gc_cursor_parse(text, &read) == APR_SUCCESS
                && strcmp(gc_cursor_text(pool, &read), text) != 0) {
                fail_msg("accepted \\x%02x at %d", (unsigned char)text[at], at);
            }
        }
    }
}

/* Ids and times end where JavaScript's whole numbers do: what lies beyond never reaches Postgres.
 */
static void test_cursor_beyond(void **state)
{
    static const apr_int64_t beyond[] = {-1, (INT64_C(1) << 53) + 1, INT64_MAX, INT64_MIN};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(beyond); i++) {
        gc_cursor_t cursor = {.number = beyond[i], .id = uuid}, read;

        assert_int_equal(gc_cursor_parse(gc_cursor_text(pool, &cursor), &read), GC_EINPUT);
    }
}

static void test_cursor_junk(void **state)
{
    static const char *const junk[] = {
        "",
        "=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
        " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAA+AAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAA/AAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAA",
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    };
    char *huge = apr_palloc(pool, 100001);
    gc_cursor_t read;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(junk); i++) {
        assert_int_equal(gc_cursor_parse(junk[i], &read), GC_EINPUT);
    }
    memset(huge, 'A', 100000);
    huge[100000] = '\0';
    assert_int_equal(gc_cursor_parse(huge, &read), GC_EINPUT);
}

/* --- Weights --------------------------------------------------------------- */

static void test_weight(void **state)
{
    static const struct {
        const char *text;
        int weight;
    } cases[] = {{NULL, 0},
                 {"", 1},
                 {"a", 2},
                 {"abcd", 2},
                 {"abcde", 3},
                 {"abcdefgh", 3},
                 {"\xF0\x9F\x98\x80", 2},
                 {"\xC3\xA4\xC3\xB6\xC3\xBC", 3}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(gc_weight(cases[i].text), cases[i].weight);
    }
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
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_uuid_both_ways),
        cmocka_unit_test(test_uuid_wrong_forms),
        cmocka_unit_test(test_uuid_equal),
        cmocka_unit_test(test_phone),
        cmocka_unit_test(test_phone_masked),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_cursor_both_ways),
        cmocka_unit_test(test_cursor_made_up),
        cmocka_unit_test(test_cursor_beyond),
        cmocka_unit_test(test_cursor_junk),
        cmocka_unit_test(test_weight),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
