/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of passwords and their hashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <sodium.h>

#include "core/password.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const gc_password_cost_t cheap = {.memory = 8192, .passes = 1};
static const gc_password_cost_t dear = {.memory = (apr_size_t)8 * 1024 * 1024, .passes = 3};

static const char *hash_of(const gc_password_cost_t *cost, const char *password)
{
    const char *hash = NULL;

    assert_int_equal(gc_password_hash(pool, cost, password, &hash), APR_SUCCESS);
    return hash;
}

static void test_form(void **state)
{
    const char *hash = hash_of(&cheap, "correct horse");

    (void)state;
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=8,t=1,p=1$", 27), 0);
    assert_int_equal(strncmp(hash_of(&dear, "correct horse"), "$argon2id$v=19$m=8192,t=3,p=1$", 30),
                     0);
    assert_null(strstr(hash, "correct"));
    assert_string_not_equal(hash, hash_of(&cheap, "correct horse"));
}

static void test_is(void **state)
{
    const char *letters = apr_psprintf(pool, "%0512d", 0);
    const char *const passwords[] = {
        "correct horse",    "correct hors",     "correct horse ", "Correct horse", "", " ",
        "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x81", letters,          letters + 1};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(passwords); i++) {
        const char *hash = hash_of(&cheap, passwords[i]);

        for (k = 0; k < COUNT(passwords); k++) {
            assert_int_equal(gc_password_is(&cheap, hash, passwords[k]), i == k);
            assert_int_equal(gc_password_is(&dear, hash, passwords[k]), i == k);
        }
        assert_false(gc_password_is(&cheap, hash, hash));
    }
}

static void test_no_hash(void **state)
{
    static const char *const none[] = {"", "x", "correct horse", "$argon2id$",
                                       "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAA"};
    size_t i;

    (void)state;
    assert_false(gc_password_is(&cheap, NULL, "correct horse"));
    assert_false(gc_password_is(&cheap, NULL, ""));
    for (i = 0; i < COUNT(none); i++) {
        assert_false(gc_password_is(&cheap, none[i], "correct horse"));
        assert_false(gc_password_is(&cheap, none[i], ""));
    }
}

/* What this thread has computed, whatever else the machine does. */
static apr_interval_time_t time_computed(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return apr_time_from_sec(time.tv_sec) + time.tv_nsec / 1000;
}

/* The shortest of some tries. */
static apr_interval_time_t time_of_try(const char *hash)
{
    apr_interval_time_t least = APR_INT64_MAX;
    int i;

    for (i = 0; i < 10; i++) {
        apr_interval_time_t began = time_computed(), took;

        assert_false(gc_password_is(&dear, hash, "wrong"));
        took = time_computed() - began;
        least = took < least ? took : least;
    }
    return least;
}

static void test_no_hash_takes_as_long(void **state)
{
    apr_interval_time_t one = time_of_try(hash_of(&dear, "correct horse"));
    apr_interval_time_t none = time_of_try(NULL);

    (void)state;
    assert_in_range(none, one / 2, 2 * one);
}

static void test_outdated(void **state)
{
    gc_password_cost_t memory = cheap, passes = cheap;
    const char *hash = hash_of(&cheap, "correct horse");

    (void)state;
    memory.memory *= 2;
    passes.passes++;
    assert_false(gc_password_is_outdated(&cheap, hash));
    assert_true(gc_password_is_outdated(&memory, hash));
    assert_true(gc_password_is_outdated(&passes, hash));
    assert_true(gc_password_is_outdated(&cheap, hash_of(&memory, "correct horse")));
    assert_true(gc_password_is_outdated(&cheap, hash_of(&passes, "correct horse")));
    assert_true(gc_password_is_outdated(&cheap, "x"));
}

/* What cannot be hashed is no password: not a hash of nothing. */
static void test_no_memory(void **state)
{
    gc_password_cost_t cost = {.memory = (apr_size_t)1 << 50, .passes = 1};
    const char *hash;

    (void)state;
    assert_int_equal(gc_password_hash(pool, &cost, "correct horse", &hash), APR_ENOMEM);
    assert_false(gc_password_is(&cost, NULL, "correct horse"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_form),     FRAMED_TEST(test_is),
        FRAMED_TEST(test_no_hash),  FRAMED_TEST(test_no_hash_takes_as_long),
        FRAMED_TEST(test_outdated), FRAMED_TEST(test_no_memory),
    };

    return RUN_FRAMED(tests);
}
