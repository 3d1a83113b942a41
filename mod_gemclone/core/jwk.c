/* SPDX-License-Identifier: Apache-2.0
 * Asymmetric keys of access tokens.
 */
#include "jwk.h"

#include <apr_strings.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <string.h>

/* RFC 7518, 3.3; bytes of a coordinate on P-256 (6.2.1.2). */
enum { RSA_BITS_MIN = 2048, COORDINATE = 32 };

/* OpenSSL keeps its errors for whoever asks next: nobody here does. */
static EVP_PKEY *read_key(const void *pem, apr_size_t len, int is_private)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = !bio         ? NULL
                    : is_private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"")
                                 : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static int is_p256(const EVP_PKEY *key)
{
    char group[32] = "";

    return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                          NULL)
           && strcmp(group, "prime256v1") == 0;
}

const char *gc_jwk_check(const char *algorithm, const unsigned char *pem, apr_size_t len)
{
    EVP_PKEY *key = read_key(pem, len, 1);
    const char *wrong = NULL;

    if (!key) {
        return "is no private key in PEM without a passphrase";
    }
    if (strcmp(algorithm, "RS256") == 0) {
        if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < RSA_BITS_MIN) {
            wrong = "is no RSA key of 2048 bits at least (openssl genrsa 2048 makes one)";
        }
    } else if (!EVP_PKEY_is_a(key, "EC") || !is_p256(key)) {
        wrong = "is no key on P-256 (openssl ecparam -name prime256v1 -genkey -noout makes one)";
    }
    EVP_PKEY_free(key);
    return wrong;
}

apr_status_t gc_jwk_public(apr_pool_t *pool, const unsigned char *pem, apr_size_t len,
                           const char **text)
{
    EVP_PKEY *key = read_key(pem, len, 1);
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    long count;

    *text = NULL;
    if (key && bio && PEM_write_bio_PUBKEY(bio, key)
        && (count = BIO_get_mem_data(bio, &bytes)) > 0) {
        *text = apr_pstrmemdup(pool, bytes, (apr_size_t)count);
    }
    BIO_free(bio);
    EVP_PKEY_free(key);
    return *text ? APR_SUCCESS : APR_ENOMEM;
}

/* A number of the key's, big-endian, of so many bytes at least. */
static const char *number(apr_pool_t *pool, const EVP_PKEY *key, const char *name, int least)
{
    unsigned char bytes[1024];
    BIGNUM *value = NULL;
    char *text = NULL;
    int len;

    if (EVP_PKEY_get_bn_param(key, name, &value) && BN_num_bytes(value) <= (int)sizeof(bytes)) {
        apr_size_t size;

        len = BN_num_bytes(value) > least ? BN_num_bytes(value) : least;
        BN_bn2binpad(value, bytes, len);
        size = sodium_base64_ENCODED_LEN((size_t)len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        text = sodium_bin2base64(apr_palloc(pool, size), size, bytes, (size_t)len,
                                 sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
    BN_free(value);
    return text;
}

json_t *gc_jwk_json(apr_pool_t *pool, const char *kid, const char *algorithm, const char *pem)
{
    EVP_PKEY *key = read_key(pem, strlen(pem), 0);
    json_t *json = NULL;

    if (key && strcmp(algorithm, "RS256") == 0) {
        json = json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n",
                         number(pool, key, OSSL_PKEY_PARAM_RSA_N, 0), "e",
                         number(pool, key, OSSL_PKEY_PARAM_RSA_E, 0));
    } else if (key) {
        json = json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x",
                         number(pool, key, OSSL_PKEY_PARAM_EC_PUB_X, COORDINATE), "y",
                         number(pool, key, OSSL_PKEY_PARAM_EC_PUB_Y, COORDINATE));
    }
    EVP_PKEY_free(key);
    if (json) {
        json_object_set_new(json, "use", json_string("sig"));
        json_object_set_new(json, "alg", json_string(algorithm));
        json_object_set_new(json, "kid", json_string(kid));
    }
    return json;
}
