/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of refresh tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <sodium.h>

#include "core/refresh.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BYTES = 64, TEXT = 86 };

static const gc_hash_t key = {"0123456789abcdef0123456789abcde"};
static const gc_hash_t other_key = {"0123456789abcdef0123456789abcdf"};

static gc_refresh_t new_token(void)
{
    gc_uuid_t session = gc_uuid_new();
    gc_refresh_t token;

    gc_refresh_new(&key, &session, &token);
    assert_true(gc_uuid_equal(&token.session, &session));
    return token;
}

static int same(const gc_refresh_t *a, const gc_refresh_t *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- What tokens are ------------------------------------------------------- */

static void test_new(void **state)
{
    enum { TOKENS = 200 };
    gc_refresh_t tokens[TOKENS];
    int i, k;

    (void)state;
    for (i = 0; i < TOKENS; i++) {
        tokens[i] = new_token();
        assert_true(gc_refresh_is_genuine(&key, &tokens[i]));
        assert_false(gc_refresh_is_genuine(&other_key, &tokens[i]));
        for (k = 0; k < i; k++) {
            assert_int_not_equal(memcmp(tokens[i].secret, tokens[k].secret, GC_REFRESH_SECRET), 0);
        }
    }
}

/* Whoever turns a bit, of the session's id, of the secret or of the tag, has no token of ours. */
static void test_every_bit_counts(void **state)
{
    gc_refresh_t token = new_token(), broken;
    gc_hash_t hash, other;
    int bit;

    (void)state;
    gc_refresh_hash(&token, &hash);
    for (bit = 0; bit < 8 * BYTES; bit++) {
        broken = token;
        ((unsigned char *)&broken)[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(gc_refresh_is_genuine(&key, &broken));
        gc_refresh_hash(&broken, &other);
        assert_memory_not_equal(hash.bytes, other.bytes, GC_HASH_BYTES);
    }
}

static void test_parts_of_two_tokens(void **state)
{
    gc_refresh_t tokens[2], mixed;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        tokens[i] = new_token();
    }
    mixed = tokens[0];
    mixed.session = tokens[1].session;
    assert_false(gc_refresh_is_genuine(&key, &mixed));
    mixed = tokens[0];
    memcpy(mixed.tag, tokens[1].tag, GC_REFRESH_TAG);
    assert_false(gc_refresh_is_genuine(&key, &mixed));
    mixed = tokens[0];
    memcpy(mixed.secret, tokens[1].secret, GC_REFRESH_SECRET);
    assert_false(gc_refresh_is_genuine(&key, &mixed));
}

/* --- Successors ------------------------------------------------------------ */

static void test_next(void **state)
{
    enum { STEPS = 200 };
    gc_refresh_t chain[STEPS], again;
    int i, k;

    (void)state;
    chain[0] = new_token();
    for (i = 1; i < STEPS; i++) {
        gc_refresh_next(&key, &chain[i - 1], &chain[i]);
        gc_refresh_next(&key, &chain[i - 1], &again);
        assert_true(same(&chain[i], &again));
        assert_true(gc_uuid_equal(&chain[i].session, &chain[0].session));
        assert_true(gc_refresh_is_genuine(&key, &chain[i]));
        for (k = 0; k < i; k++) {
            assert_false(same(&chain[i], &chain[k]));
        }
    }
    gc_refresh_next(&other_key, &chain[0], &again);
    assert_memory_not_equal(again.secret, chain[1].secret, GC_REFRESH_SECRET);
}

/* Hashes are stored, and tokens are about: another version of this module must find the same. */
static void test_stable(void **state)
{
    gc_refresh_t token = new_token(), next;
    unsigned char expected[GC_HASH_BYTES];
    gc_hash_t hash;

    (void)state;
    gc_refresh_hash(&token, &hash);
    crypto_generichash(expected, sizeof(expected), (const unsigned char *)&token, BYTES, NULL, 0);
    assert_memory_equal(hash.bytes, expected, sizeof(expected));
    gc_refresh_next(&key, &token, &next);
    crypto_generichash(expected, sizeof(expected), token.secret, GC_REFRESH_SECRET, key.bytes,
                       GC_HASH_BYTES);
    assert_memory_equal(next.secret, expected, GC_REFRESH_SECRET);
    crypto_generichash(expected, GC_REFRESH_TAG, (const unsigned char *)&next,
                       BYTES - GC_REFRESH_TAG, key.bytes, GC_HASH_BYTES);
    assert_memory_equal(next.tag, expected, GC_REFRESH_TAG);
}

/* --- Text ------------------------------------------------------------------ */

static void test_text(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 200; i++) {
        gc_refresh_t token = new_token(), back;
        const char *text = gc_refresh_text(pool, &token);

        assert_int_equal(strlen(text), TEXT);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
                         TEXT);
        assert_int_equal(gc_refresh_parse(text, &back), APR_SUCCESS);
        assert_true(same(&token, &back));
    }
}

static void test_no_text_of_one(void **state)
{
    gc_refresh_t token = new_token(), back;
    const char *text = gc_refresh_text(pool, &token);
    char *changed = apr_pstrdup(pool, text);
    int i;

    (void)state;
    for (i = 0; i < TEXT; i++) {
        changed[i] = '\0';
        assert_int_equal(gc_refresh_parse(changed, &back), GC_EINPUT);
        changed[i] = text[i];
    }
    for (i = 1; i < 256; i++) {
        changed[7] = (char)i;
        assert_int_equal(
            gc_refresh_parse(changed, &back) == APR_SUCCESS,
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", i) != NULL);
    }
    assert_int_equal(gc_refresh_parse(apr_pstrcat(pool, text, "=", NULL), &back), GC_EINPUT);
    assert_int_equal(gc_refresh_parse(apr_pstrcat(pool, text, "==", NULL), &back), GC_EINPUT);
    assert_int_equal(gc_refresh_parse(apr_pstrcat(pool, text, "A", NULL), &back), GC_EINPUT);
    assert_int_equal(gc_refresh_parse(apr_pstrcat(pool, text, text, NULL), &back), GC_EINPUT);
    assert_int_equal(gc_refresh_parse(apr_pstrcat(pool, " ", text, NULL), &back), GC_EINPUT);
}

/* The last character holds two bits of the token and four that must be 0: each token has one
 * text. */
static void test_one_text_each(void **state)
{
    gc_refresh_t token = new_token(), back;
    char *text = apr_pstrdup(pool, gc_refresh_text(pool, &token));
    int i, good = 0;

    (void)state;
    for (i = 1; i < 128; i++) {
        text[TEXT - 1] = (char)i;
        good += gc_refresh_parse(text, &back) == APR_SUCCESS;
    }
    assert_int_equal(good, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_new),
        FRAMED_TEST(test_every_bit_counts),
        FRAMED_TEST(test_parts_of_two_tokens),
        FRAMED_TEST(test_next),
        FRAMED_TEST(test_stable),
        FRAMED_TEST(test_text),
        FRAMED_TEST(test_no_text_of_one),
        FRAMED_TEST(test_one_text_each),
    };

    return RUN_FRAMED(tests);
}
