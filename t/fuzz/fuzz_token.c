/* SPDX-License-Identifier: Apache-2.0
 * Access tokens. The input's first line says what comes:
 *
 *   0                            a token, as it stands
 *   1, 2 or 3, then numbers      a line of header and a line of claims, which the first key, the
 * second or one that is not ours signs; then the numbers change the token: a position and a byte,
 * another position and byte, ...
 *
 * A token that is taken has our signature and says what we read.
 */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>
#include <sodium.h>

#include "core/json.h"
#include "core/token.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define NOW INT64_C(1795409257) /* seconds */
#define ISSUER "gemclone"

static const gc_token_key_t keys[] = {
    {"a", "HS256", (const unsigned char *)"0123456789abcdef0123456789abcdef", 32, NULL},
    {"b", "HS256", (const unsigned char *)"another secret of 32 bytes/////!", 32, NULL},
    {"a", "HS256", (const unsigned char *)"a key that nobody here has heard", 32, NULL},
};

static gc_token_ring_t *ring_of(apr_pool_t *pool, int count)
{
    gc_token_ring_t *ring = apr_pcalloc(pool, sizeof(*ring));
    int i;

    ring->issuer = ISSUER;
    ring->keys = apr_array_make(pool, 2, sizeof(gc_token_key_t));
    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(ring->keys, gc_token_key_t) = keys[i];
    }
    return ring;
}

/* --- Signing by hand ------------------------------------------------------ */

static const char *base64(apr_pool_t *pool, const void *bytes, size_t len)
{
    size_t size = sodium_base64_ENCODED_LEN(len, VARIANT);

    return sodium_bin2base64(apr_palloc(pool, size), size, bytes, len, VARIANT);
}

static const char *sign(apr_pool_t *pool, const gc_token_key_t *key, const char *text, size_t len)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key->secret, key->len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, len);
    crypto_auth_hmacsha256_final(&state, mac);
    return base64(pool, mac, sizeof(mac));
}

static char *make_token(apr_pool_t *pool, const gc_token_key_t *key, const char *header,
                        const char *claims)
{
    const char *text = apr_pstrcat(pool, base64(pool, header, strlen(header)), ".",
                                   base64(pool, claims, strlen(claims)), NULL);

    return apr_pstrcat(pool, text, ".", sign(pool, key, text, strlen(text)), NULL);
}

static void change(char *token, char *numbers)
{
    size_t len = strlen(token);
    long at;

    while ((at = fuzz_number(&numbers, -1)) >= 0) {
        char byte = (char)fuzz_number(&numbers, 0);

        if (byte) {
            token[(size_t)at % len] = byte;
        }
    }
}

/* --- What is taken -------------------------------------------------------- */

/* One of the token's parts, which must be base64url of an object. */
static json_t *decode(apr_pool_t *pool, const char *text, size_t len)
{
    unsigned char bytes[GC_TOKEN_MAX];
    size_t size;
    json_t *json;

    HOLDS(sodium_base642bin(bytes, sizeof(bytes), text, len, NULL, &size, NULL, VARIANT) == 0);
    json = gc_json_own(pool, json_loadb((const char *)bytes, size, 0, NULL));
    HOLDS(json_is_object(json));
    return json;
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

static void check_claims(apr_pool_t *pool, const json_t *claims, const gc_token_t *token)
{
    const json_t *scope = json_object_get(claims, "scope");
    json_int_t issued = json_integer_value(json_object_get(claims, "iat"));
    json_int_t expires = json_integer_value(json_object_get(claims, "exp"));

    HOLDS(strcmp(text_of(claims, "iss"), ISSUER) == 0);
    HOLDS(issued > 0 && issued <= NOW + 5 && expires > NOW);
    HOLDS(token->issued == apr_time_from_sec(issued));
    HOLDS(token->expires == apr_time_from_sec(expires));
    HOLDS(strcasecmp(text_of(claims, "sub"), gc_uuid_text(pool, &token->user)) == 0);
    HOLDS(strcasecmp(text_of(claims, "sid"), gc_uuid_text(pool, &token->session)) == 0);
    HOLDS(scope ? strcmp(text_of(claims, "scope"), "reset_password") == 0
                      && token->scope == GC_TOKEN_RESET
                : token->scope == GC_TOKEN_ACCESS);
}

static void check_taken(apr_pool_t *pool, const gc_token_ring_t *ring, const char *text,
                        const gc_token_t *token)
{
    const char *first = strchr(text, '.'), *last = strrchr(text, '.');
    const gc_token_key_t *key = &keys[0];
    json_t *header;

    HOLDS(strlen(text) <= GC_TOKEN_MAX && first && first < last);
    header = decode(pool, text, (size_t)(first - text));
    if (ring->keys->nelts == 2) {
        key = &keys[strcmp(text_of(header, "kid"), "b") == 0];
        HOLDS(strcmp(text_of(header, "kid"), key->kid) == 0);
    }
    HOLDS(strcmp(last + 1, sign(pool, key, text, (size_t)(last - text))) == 0);
    HOLDS(strcmp(text_of(header, "alg"), "HS256") == 0);
    check_claims(pool, decode(pool, first + 1, (size_t)(last - first - 1)), token);
}

static void check_token(apr_pool_t *pool, int count, const char *text)
{
    const gc_token_ring_t *ring = ring_of(pool, count);
    gc_token_t token;

    if (gc_token_verify(pool, ring, text, apr_time_from_sec(NOW), &token) == APR_SUCCESS) {
        check_taken(pool, ring, text, &token);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size), *text;
    long key = fuzz_number(&line, 0);

    if (key >= 1 && key <= 3) {
        const char *header = fuzz_line(pool, &data, &size);

        text = make_token(pool, &keys[key - 1], header, fuzz_line(pool, &data, &size));
        change(text, line);
    } else {
        text = fuzz_text(pool, data, size);
    }
    check_token(pool, 1, text);
    check_token(pool, 2, text);
    apr_pool_destroy(pool);
    return 0;
}
