/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of one-time codes, refresh tokens, the hashes that are kept of them, and seals.
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
#include <sodium.h>

#include "core/code.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int same(const gc_hash_t *a, const gc_hash_t *b)
{
    return memcmp(a->bytes, b->bytes, GC_HASH_BYTES) == 0;
}

/* --- Codes ----------------------------------------------------------------- */

static void test_code_form(void **state)
{
    int digits, i;

    (void)state;
    for (digits = 4; digits <= 8; digits++) {
        for (i = 0; i < 1000; i++) {
            const char *code = gc_code_new(pool, digits);

            assert_int_equal(strlen(code), digits);
            assert_int_equal(strspn(code, "0123456789"), digits);
        }
    }
}

/* Each digit at each place as often as the others, the leading zero too: 2,000 times of 20,000,
 * with a standard deviation of 42. A fair source is refused once in a hundred million runs. */
static void test_code_uniform(void **state)
{
    enum { DIGITS = 6, CODES = 20000, EXPECTED = CODES / 10, TOLERANCE = 290 };
    int counts[DIGITS][10] = {{0}}, i, place, digit;

    (void)state;
    for (i = 0; i < CODES; i++) {
        const char *code = gc_code_new(pool, DIGITS);

        for (place = 0; place < DIGITS; place++) {
            counts[place][code[place] - '0']++;
        }
    }
    for (place = 0; place < DIGITS; place++) {
        for (digit = 0; digit < 10; digit++) {
            assert_in_range(counts[place][digit], EXPECTED - TOLERANCE, EXPECTED + TOLERANCE);
        }
    }
}

/* --- Hashes of codes ------------------------------------------------------- */

static void test_code_hash_is_bound(void **state)
{
    static const struct {
        const char *secret, *number, *purpose, *code;
    } cases[] = {
        {"secret", "+15551234567", "login", "123456"},
        {"secret!", "+15551234567", "login", "123456"},
        {"", "+15551234567", "login", "123456"},
        {"secret", "+15551234568", "login", "123456"},
        {"secret", "+1555123456", "login", "123456"},
        {"secret", "+15551234567", "reset_password", "123456"},
        {"secret", "+15551234567", "logi", "123456"},
        {"secret", "+15551234567", "login", "123457"},
        {"secret", "+15551234567", "login", "0123456"},
        {"secret", "+15551234567", "login", "12345"},
        /* The same characters, divided otherwise. */
        {"secret", "+15551234567l", "ogin", "123456"},
        {"secret", "+15551234567", "login1", "23456"},
        {"secret", "+1555123456", "7login", "123456"},
        {"secret", "", "+15551234567login", "123456"},
    };
    gc_hash_t hashes[COUNT(cases)], again, key;
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_code_key(cases[i].secret, strlen(cases[i].secret), &key);
        gc_code_hash(&key, cases[i].number, cases[i].purpose, cases[i].code, &hashes[i]);
        gc_code_hash(&key, cases[i].number, cases[i].purpose, cases[i].code, &again);
        assert_true(same(&hashes[i], &again));
        for (k = 0; k < i; k++) {
            assert_false(same(&hashes[i], &hashes[k]));
        }
    }
}

/* It is stored: another version of this module must find the same. BLAKE2b, keyed, over each part
 * with its length as 64 bits in front. */
static void test_code_hash_is_stable(void **state)
{
    static const unsigned char message[] = "\x0C\0\0\0\0\0\0\0+15551234567"
                                           "\x05\0\0\0\0\0\0\0login"
                                           "\x06\0\0\0\0\0\0\0"
                                           "123456";
    gc_hash_t key, hash, expected;

    (void)state;
    gc_code_key("secret", 6, &key);
    crypto_generichash(expected.bytes, GC_HASH_BYTES, (const unsigned char *)"secret", 6, NULL, 0);
    assert_true(same(&key, &expected));
    gc_code_hash(&key, "+15551234567", "login", "123456", &hash);
    crypto_generichash(expected.bytes, GC_HASH_BYTES, message, sizeof(message) - 1, key.bytes,
                       GC_HASH_BYTES);
    assert_true(same(&hash, &expected));
}

/* All of a secret counts, whatever its bytes and its length. */
static void test_key(void **state)
{
    static const struct {
        const char *secret;
        apr_size_t len;
    } cases[] = {{"", 0},
                 {"\0", 1},
                 {"\0\0", 2},
                 {"a", 1},
                 {"a\0", 2},
                 {"a\0b", 3},
                 {"a\0c", 3},
                 {"0123456789012345678901234567890123456789012345678901234567890123456789", 70},
                 {"0123456789012345678901234567890123456789012345678901234567890123456788", 70}};
    gc_hash_t keys[COUNT(cases)];
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_code_key(cases[i].secret, cases[i].len, &keys[i]);
        for (k = 0; k < i; k++) {
            assert_false(same(&keys[i], &keys[k]));
        }
    }
}

/* --- Fingerprints ---------------------------------------------------------- */

static void test_fingerprint(void **state)
{
    gc_hash_t hashes[9], again;
    size_t i, k;

    (void)state;
    gc_code_fingerprint(&hashes[0], "ab", "c", NULL);
    gc_code_fingerprint(&hashes[1], "a", "bc", NULL);
    gc_code_fingerprint(&hashes[2], "abc", NULL);
    gc_code_fingerprint(&hashes[3], "abc", "", NULL);
    gc_code_fingerprint(&hashes[4], "", "abc", NULL);
    gc_code_fingerprint(&hashes[5], "c", "ab", NULL);
    gc_code_fingerprint(&hashes[6], "", NULL);
    gc_code_fingerprint(&hashes[7], NULL, NULL);
    gc_code_fingerprint(&hashes[8], "a", "b", "c", NULL);
    for (i = 0; i < COUNT(hashes); i++) {
        for (k = 0; k < i; k++) {
            assert_false(same(&hashes[i], &hashes[k]));
        }
    }
    gc_code_fingerprint(&again, "ab", "c", NULL);
    assert_true(same(&hashes[0], &again));
}

/* --- Refresh tokens -------------------------------------------------------- */

static void test_refresh(void **state)
{
    enum { TOKENS = 200 };
    const char *tokens[TOKENS];
    gc_hash_t hashes[TOKENS], hash;
    unsigned char bytes[33];
    size_t len;
    int i, k;

    (void)state;
    for (i = 0; i < TOKENS; i++) {
        tokens[i] = gc_code_refresh_new(pool, &hashes[i]);
        assert_int_equal(strlen(tokens[i]), 43);
        assert_int_equal(sodium_base642bin(bytes, sizeof(bytes), tokens[i], 43, NULL, &len, NULL,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                         0);
        assert_int_equal(len, 32);
        gc_code_fingerprint(&hash, tokens[i], NULL);
        assert_true(same(&hash, &hashes[i]));
        for (k = 0; k < i; k++) {
            assert_string_not_equal(tokens[i], tokens[k]);
            assert_false(same(&hashes[i], &hashes[k]));
        }
    }
}

/* --- Keys for one use, and what is sealed under them ------------------------ */

static void test_derive(void **state)
{
    gc_hash_t key, other, derived[5], again;
    size_t i, k;

    (void)state;
    gc_code_key("secret", 6, &key);
    gc_code_key("another", 7, &other);
    gc_code_derive(&key, "refresh", &derived[0]);
    gc_code_derive(&key, "delivery", &derived[1]);
    gc_code_derive(&key, "", &derived[2]);
    gc_code_derive(&other, "refresh", &derived[3]);
    derived[4] = key;
    for (i = 0; i < COUNT(derived); i++) {
        for (k = 0; k < i; k++) {
            assert_false(same(&derived[i], &derived[k]));
        }
    }
    gc_code_derive(&key, "refresh", &again);
    assert_true(same(&derived[0], &again));
}

static void test_seal(void **state)
{
    static const char *const texts[] = {"", "0", "123456", "a longer one, with blanks"};
    const unsigned char *sealed, *again;
    apr_size_t len, again_len;
    gc_hash_t key;
    size_t i;

    (void)state;
    gc_code_key("secret", 6, &key);
    for (i = 0; i < COUNT(texts); i++) {
        const char *text = NULL;

        sealed = gc_code_seal(pool, &key, texts[i], &len);
        assert_int_equal(gc_code_open(pool, &key, sealed, len, &text), APR_SUCCESS);
        assert_string_equal(text, texts[i]);
        assert_true(strlen(texts[i]) < 3 || !memmem(sealed, len, texts[i], strlen(texts[i])));
        again = gc_code_seal(pool, &key, texts[i], &again_len);
        assert_int_equal(again_len, len);
        assert_memory_not_equal(again, sealed, len);
    }
}

/* Another key, each bit turned, each length. */
static void test_broken_seal(void **state)
{
    const unsigned char *sealed;
    unsigned char *broken;
    gc_hash_t key, other;
    const char *text;
    apr_size_t len, i;

    (void)state;
    gc_code_key("secret", 6, &key);
    gc_code_key("secret!", 7, &other);
    sealed = gc_code_seal(pool, &key, "123456", &len);
    assert_int_equal(gc_code_open(pool, &other, sealed, len, &text), GC_EINPUT);
    for (i = 0; i < 8 * len; i++) {
        broken = apr_pmemdup(pool, sealed, len);
        broken[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_int_equal(gc_code_open(pool, &key, broken, len, &text), GC_EINPUT);
    }
    for (i = 0; i < len; i++) {
        broken = apr_pmemdup(pool, sealed, i + 1); /* its own, for a sanitizer to watch */
        assert_int_equal(gc_code_open(pool, &key, broken, i, &text), GC_EINPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_code_form),
        FRAMED_TEST(test_code_uniform),
        FRAMED_TEST(test_code_hash_is_bound),
        FRAMED_TEST(test_code_hash_is_stable),
        FRAMED_TEST(test_key),
        FRAMED_TEST(test_fingerprint),
        FRAMED_TEST(test_refresh),
        FRAMED_TEST(test_derive),
        FRAMED_TEST(test_seal),
        FRAMED_TEST(test_broken_seal),
    };

    return RUN_FRAMED(tests);
}
