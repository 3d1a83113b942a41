/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of asymmetric keys: which are taken, and what others get to see of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include "core/jwk.h"
#include "core/token.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Keys ------------------------------------------------------------------ */

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static EVP_PKEY *own(EVP_PKEY *key)
{
    assert_non_null(key);
    apr_pool_cleanup_register(pool, key, free_key, apr_pool_cleanup_null);
    return key;
}

static EVP_PKEY *rsa(unsigned bits)
{
    return own(EVP_RSA_gen(bits));
}

static EVP_PKEY *ec(const char *curve)
{
    return own(EVP_EC_gen(curve));
}

static const char *text_of(BIO *bio)
{
    char *bytes;
    long count = BIO_get_mem_data(bio, &bytes);
    const char *text = apr_pstrmemdup(pool, bytes, (apr_size_t)count);

    BIO_free(bio);
    return text;
}

static const char *private_pem(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL, NULL,
                                              0, NULL, (void *)passphrase),
                     1);
    return text_of(bio);
}

static const char *public_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    return text_of(bio);
}

static const char *check(const char *algorithm, const char *pem)
{
    return gc_jwk_check(algorithm, (const unsigned char *)pem, strlen(pem));
}

/* --- Checks ---------------------------------------------------------------- */

static void test_good(void **state)
{
    (void)state;
    assert_null(check("RS256", private_pem(rsa(2048), NULL)));
    assert_null(check("RS256", private_pem(rsa(3072), NULL)));
    assert_null(check("ES256", private_pem(ec("P-256"), NULL)));
}

/* openssl ecparam -genkey writes the curve's parameters in front, and files may begin with words.
 */
static void test_words_around(void **state)
{
    static const char parameters[] =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    const char *pem = private_pem(ec("P-256"), NULL);

    (void)state;
    assert_null(check("ES256", apr_pstrcat(pool, parameters, pem, NULL)));
    assert_null(check("ES256", apr_pstrcat(pool, "Our key\n", pem, "\n\n", NULL)));
}

static void test_bad(void **state)
{
    EVP_PKEY *good = rsa(2048);
    const char *pem = private_pem(good, NULL);
    const struct {
        const char *algorithm, *pem, *wrong;
    } cases[] = {
        {"RS256", "", "PEM"},
        {"RS256", "a secret of HS256, which has more than 32 bytes", "PEM"},
        {"RS256", apr_pstrmemdup(pool, pem, strlen(pem) / 2), "PEM"},
        {"RS256", public_pem(good), "PEM"},
        {"RS256", private_pem(good, "secret"), "passphrase"},
        {"RS256", private_pem(rsa(1024), NULL), "2048"},
        {"RS256", private_pem(ec("P-256"), NULL), "RSA"},
        {"RS256", private_pem(own(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), NULL), "RSA"},
        {"ES256", pem, "P-256"},
        {"ES256", private_pem(ec("P-384"), NULL), "P-256"},
        {"ES256", private_pem(ec("secp256k1"), NULL), "P-256"},
        {"ES256", private_pem(own(EVP_PKEY_Q_keygen(NULL, NULL, "X25519")), NULL), "P-256"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *wrong = check(cases[i].algorithm, cases[i].pem);

        if (!wrong || !strstr(wrong, cases[i].wrong)) {
            fail_msg("case %d: %s", (int)i, wrong ? wrong : "it is taken");
        }
    }
}

/* --- What others see ------------------------------------------------------- */

/* The number that a member is, and how many bytes it has. */
static BIGNUM *number_of(json_t *json, const char *member, size_t *len)
{
    const char *text = json_string_value(json_object_get(json, member));
    unsigned char bytes[1024];

    assert_non_null(text);
    assert_int_equal(sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, len, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    return BN_bin2bn(bytes, (int)*len, NULL);
}

static void check_number(json_t *json, const char *member, EVP_PKEY *key, const char *parameter,
                         size_t expected_len)
{
    BIGNUM *expected = NULL, *got;
    size_t len;

    assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &expected), 1);
    got = number_of(json, member, &len);
    assert_int_equal(BN_cmp(expected, got), 0);
    assert_int_equal(len, expected_len);
    BN_free(expected);
    BN_free(got);
}

static json_t *jwk_of(EVP_PKEY *key, const char *algorithm)
{
    const char *pem = private_pem(key, NULL), *half;
    json_t *json;

    assert_int_equal(gc_jwk_public(pool, (const unsigned char *)pem, strlen(pem), &half),
                     APR_SUCCESS);
    assert_string_equal(half, public_pem(key));
    json = gc_jwk_json(pool, "k1", algorithm, half);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "kid")), "k1");
    assert_string_equal(json_string_value(json_object_get(json, "alg")), algorithm);
    assert_string_equal(json_string_value(json_object_get(json, "use")), "sig");
    return json;
}

static void test_jwk_rsa(void **state)
{
    static const unsigned sizes[] = {2048, 2056, 3072};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(sizes); i++) {
        EVP_PKEY *key = rsa(sizes[i]);
        json_t *json = jwk_of(key, "RS256");

        assert_string_equal(json_string_value(json_object_get(json, "kty")), "RSA");
        check_number(json, "n", key, OSSL_PKEY_PARAM_RSA_N, sizes[i] / 8);
        check_number(json, "e", key, OSSL_PKEY_PARAM_RSA_E, 3);
        assert_int_equal(json_object_size(json), 6);
        json_decref(json);
    }
}

/* Whether a coordinate begins with a zero, as one of 256 does: it has 32 bytes all the same. */
static int begins_with_zero(EVP_PKEY *key, const char *parameter)
{
    BIGNUM *number = NULL;
    int bytes;

    assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &number), 1);
    bytes = BN_num_bytes(number);
    BN_free(number);
    return bytes < 32;
}

static void test_jwk_ec(void **state)
{
    int met[2] = {0, 0}, keys;

    (void)state;
    for (keys = 0; keys < 20000 && !(met[0] && met[1]); keys++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        int x = begins_with_zero(key, OSSL_PKEY_PARAM_EC_PUB_X),
            y = begins_with_zero(key, OSSL_PKEY_PARAM_EC_PUB_Y);

        if (keys == 0 || x || y) {
            json_t *json = jwk_of(key, "ES256");

            assert_string_equal(json_string_value(json_object_get(json, "kty")), "EC");
            assert_string_equal(json_string_value(json_object_get(json, "crv")), "P-256");
            check_number(json, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
            check_number(json, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
            assert_int_equal(json_object_size(json), 7);
            json_decref(json);
        }
        met[0] |= x;
        met[1] |= y;
        EVP_PKEY_free(key);
    }
    assert_true(met[0] && met[1]);
}

static void test_no_public_half(void **state)
{
    const char *half;

    (void)state;
    assert_int_not_equal(gc_jwk_public(pool, (const unsigned char *)"x", 1, &half), APR_SUCCESS);
    assert_null(half);
    assert_null(gc_jwk_json(pool, "k1", "RS256", ""));
    assert_null(gc_jwk_json(pool, "k1", "ES256", "x"));
}

/* --- Tokens ---------------------------------------------------------------- */

static gc_token_key_t token_key(EVP_PKEY *key, const char *kid, const char *algorithm)
{
    const char *pem = private_pem(key, NULL);
    gc_token_key_t made = {.kid = kid,
                           .algorithm = algorithm,
                           .secret = (const unsigned char *)pem,
                           .len = strlen(pem)};

    assert_int_equal(gc_jwk_public(pool, made.secret, made.len, &made.public_pem), APR_SUCCESS);
    return made;
}

static gc_token_ring_t *ring_of(gc_token_key_t key)
{
    gc_token_ring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->issuer = "gemclone";
    ring->keys = apr_array_make(pool, 1, sizeof(key));
    APR_ARRAY_PUSH(ring->keys, gc_token_key_t) = key;
    return ring;
}

static const char *sign(const gc_token_ring_t *ring)
{
    gc_token_t token = {.user = gc_uuid_new(),
                        .session = gc_uuid_new(),
                        .issued = apr_time_from_sec(1000),
                        .expires = apr_time_from_sec(2000)};
    const char *text = NULL;

    assert_int_equal(gc_token_sign(pool, ring, &token, &text), APR_SUCCESS);
    return text;
}

static apr_status_t verify(const gc_token_ring_t *ring, const char *text)
{
    gc_token_t token;

    return gc_token_verify(pool, ring, text, apr_time_from_sec(1000), &token);
}

/* Each verifies its own, and nothing that another has signed: not even one by HS256 whose secret
 * is the public half, which everybody has. */
static void test_tokens(void **state)
{
    gc_token_key_t keys[] = {token_key(rsa(2048), "a", "RS256"), token_key(rsa(2048), "a", "RS256"),
                             token_key(ec("P-256"), "a", "ES256"),
                             token_key(ec("P-256"), "a", "ES256")};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(keys); i++) {
        const char *pem = keys[i].public_pem;
        gc_token_key_t forger = {.kid = "a",
                                 .algorithm = "HS256",
                                 .secret = (const unsigned char *)pem,
                                 .len = strlen(pem)};

        for (k = 0; k < COUNT(keys); k++) {
            assert_int_equal(verify(ring_of(keys[i]), sign(ring_of(keys[k]))),
                             i == k ? APR_SUCCESS : GC_EINPUT);
        }
        assert_int_equal(verify(ring_of(forger), sign(ring_of(forger))), APR_SUCCESS);
        assert_int_equal(verify(ring_of(keys[i]), sign(ring_of(forger))), GC_EINPUT);
        assert_int_equal(verify(ring_of(forger), sign(ring_of(keys[i]))), GC_EINPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_good),    FRAMED_TEST(test_words_around), FRAMED_TEST(test_bad),
        FRAMED_TEST(test_jwk_rsa), FRAMED_TEST(test_jwk_ec),       FRAMED_TEST(test_no_public_half),
        FRAMED_TEST(test_tokens),
    };

    return RUN_FRAMED(tests);
}
