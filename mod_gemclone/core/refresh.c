/* SPDX-License-Identifier: Apache-2.0
 * Refresh tokens.
 */
#include "refresh.h"

#include <sodium.h>
#include <string.h>

enum { BYTES = sizeof(gc_refresh_t) };

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static void make_tag(const gc_hash_t *key, const gc_refresh_t *token,
                     unsigned char tag[GC_REFRESH_TAG])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, key->bytes, sizeof(key->bytes), GC_REFRESH_TAG);
    crypto_generichash_update(&state, token->session.bytes, sizeof(token->session.bytes));
    crypto_generichash_update(&state, token->secret, sizeof(token->secret));
    crypto_generichash_final(&state, tag, GC_REFRESH_TAG);
}

void gc_refresh_new(const gc_hash_t *key, const gc_uuid_t *session, gc_refresh_t *token)
{
    token->session = *session;
    randombytes_buf(token->secret, sizeof(token->secret));
    make_tag(key, token, token->tag);
}

void gc_refresh_next(const gc_hash_t *key, const gc_refresh_t *token, gc_refresh_t *next)
{
    next->session = token->session;
    crypto_generichash(next->secret, sizeof(next->secret), token->secret, sizeof(token->secret),
                       key->bytes, sizeof(key->bytes));
    make_tag(key, next, next->tag);
}

int gc_refresh_is_genuine(const gc_hash_t *key, const gc_refresh_t *token)
{
    unsigned char tag[GC_REFRESH_TAG];

    make_tag(key, token, tag);
    return sodium_memcmp(tag, token->tag, sizeof(tag)) == 0;
}

void gc_refresh_hash(const gc_refresh_t *token, gc_hash_t *hash)
{
    crypto_generichash(hash->bytes, sizeof(hash->bytes), (const unsigned char *)token,
                       sizeof(*token), NULL, 0);
}

const char *gc_refresh_text(apr_pool_t *pool, const gc_refresh_t *token)
{
    apr_size_t size = sodium_base64_ENCODED_LEN(BYTES, VARIANT);
    char *text = apr_palloc(pool, size);

    return sodium_bin2base64(text, size, (const unsigned char *)token, BYTES, VARIANT);
}

apr_status_t gc_refresh_parse(const char *text, gc_refresh_t *token)
{
    char again[sodium_base64_ENCODED_LEN(BYTES, VARIANT)];
    apr_size_t len;

    if (sodium_base642bin((unsigned char *)token, BYTES, text, strlen(text), NULL, &len, NULL,
                          VARIANT)
            != 0
        || len != BYTES) {
        return GC_EINPUT;
    }
    /* libsodium 1.0.18 takes some bytes above 0x7F for digits. */
    sodium_bin2base64(again, sizeof(again), (const unsigned char *)token, BYTES, VARIANT);
    return strcmp(text, again) == 0 ? APR_SUCCESS : GC_EINPUT;
}
