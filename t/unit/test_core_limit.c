/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of limits: their names, what they are by default, and whom an address counts for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>

#include "core/limit.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_names(void **state)
{
    static const char *const none[] = {"", "otp", "password ", "Password", "otp-number-", "sms"};
    int i, k;

    (void)state;
    for (i = 0; i < GC_LIMITS; i++) {
        assert_int_equal(gc_limit_of(gc_limit_name(i)), i);
        for (k = 0; k < i; k++) {
            assert_string_not_equal(gc_limit_name(i), gc_limit_name(k));
        }
    }
    for (i = 0; i < (int)COUNT(none); i++) {
        assert_int_equal(gc_limit_of(none[i]), GC_LIMITS);
    }
}

/* As conf/gemclone.conf tells. */
static void test_defaults(void **state)
{
    static const struct {
        const char *name;
        apr_int64_t most, seconds;
    } cases[] = {{"signup-address", 50, 3600}, {"sign-in-address", 100, 900},
                 {"otp-try", 5, 900},          {"password", 10, 900},
                 {"otp-address", 50, 3600},    {"otp-number", 10, 86400},
                 {"otp-cooldown", 1, 30},      {"otp-budget", 10000, 86400}};
    size_t i;

    (void)state;
    assert_int_equal(COUNT(cases), GC_LIMITS);
    for (i = 0; i < COUNT(cases); i++) {
        gc_limit_t limit = gc_limit_default(gc_limit_of(cases[i].name));

        assert_int_equal(limit.most, cases[i].most);
        assert_int_equal(limit.window, apr_time_from_sec(cases[i].seconds));
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *address, *counts_for;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:0DB8:0001:0002:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::", "2001:db8:1:2::/64"},
        {"2001:db8:1:3::", "2001:db8:1:3::/64"},
        {"2001:db8::1", "2001:db8::/64"},
        {"::1", "::/64"},
        {"::", "::/64"},
        {"fe80::1", "fe80::/64"},
        /* One and the same client, by a socket that takes both. */
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:201", "192.0.2.1"},
        /* An IPv4 in one of the old ways is no client that connects. */
        {"::192.0.2.1", "::/64"},
        /* What is none counts for itself. */
        {"", ""},
        {"unix", "unix"},
        {"192.0.2", "192.0.2"},
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"2001:db8::1::2", "2001:db8::1::2"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_string_equal(gc_limit_address(pool, cases[i].address), cases[i].counts_for);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_names),
        FRAMED_TEST(test_defaults),
        FRAMED_TEST(test_addresses),
    };

    return RUN_FRAMED(tests);
}
