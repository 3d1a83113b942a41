/* SPDX-License-Identifier: Apache-2.0
 * One-time codes, refresh tokens, and the hashes that are kept of them.
 */
#include "code.h"

#include <apr_strings.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

/* Each part with its length in front: "ab","c" must not hash as "a","bc". */
static void add(crypto_generichash_state *state, const char *part)
{
    apr_uint64_t len = strlen(part);

    crypto_generichash_update(state, (const unsigned char *)&len, sizeof(len));
    crypto_generichash_update(state, (const unsigned char *)part, len);
}

void gc_code_key(const void *secret, apr_size_t len, gc_hash_t *key)
{
    crypto_generichash(key->bytes, sizeof(key->bytes), secret, len, NULL, 0);
}

void gc_code_derive(const gc_hash_t *key, const char *use, gc_hash_t *derived)
{
    crypto_generichash(derived->bytes, sizeof(derived->bytes), (const unsigned char *)use,
                       strlen(use), key->bytes, sizeof(key->bytes));
}

const unsigned char *gc_code_seal(apr_pool_t *pool, const gc_hash_t *key, const char *text,
                                  apr_size_t *len)
{
    apr_size_t text_len = strlen(text);
    unsigned char *sealed;

    *len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + text_len;
    sealed = apr_palloc(pool, *len);
    randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, (const unsigned char *)text,
                          text_len, sealed, key->bytes);
    return sealed;
}

apr_status_t gc_code_open(apr_pool_t *pool, const gc_hash_t *key, const unsigned char *sealed,
                          apr_size_t len, const char **text)
{
    apr_size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    unsigned char *opened;

    if (len < overhead) {
        return GC_EINPUT;
    }
    opened = apr_pcalloc(pool, len - overhead + 1);
    if (crypto_secretbox_open_easy(opened, sealed + crypto_secretbox_NONCEBYTES,
                                   len - crypto_secretbox_NONCEBYTES, sealed, key->bytes)
        != 0) {
        return GC_EINPUT;
    }
    *text = (const char *)opened;
    return APR_SUCCESS;
}

const char *gc_code_new(apr_pool_t *pool, int digits)
{
    apr_uint32_t range = 1;
    int i;

    for (i = 0; i < digits; i++) {
        range *= 10;
    }
    return apr_psprintf(pool, "%0*u", digits, randombytes_uniform(range));
}

void gc_code_hash(const gc_hash_t *key, const char *e164, const char *purpose, const char *code,
                  gc_hash_t *hash)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, key->bytes, sizeof(key->bytes), sizeof(hash->bytes));
    add(&state, e164);
    add(&state, purpose);
    add(&state, code);
    crypto_generichash_final(&state, hash->bytes, sizeof(hash->bytes));
    sodium_memzero(&state, sizeof(state));
}

const char *gc_code_refresh_new(apr_pool_t *pool, gc_hash_t *hash)
{
    unsigned char bytes[32];
    size_t size =
        sodium_base64_ENCODED_LEN(sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = apr_palloc(pool, size);

    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2base64(text, size, bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    gc_code_fingerprint(hash, text, NULL);
    return text;
}

void gc_code_fingerprint(gc_hash_t *hash, const char *part, ...)
{
    crypto_generichash_state state;
    va_list parts;

    crypto_generichash_init(&state, NULL, 0, sizeof(hash->bytes));
    va_start(parts, part);
    for (; part; part = va_arg(parts, const char *)) {
        add(&state, part);
    }
    va_end(parts);
    crypto_generichash_final(&state, hash->bytes, sizeof(hash->bytes));
}
