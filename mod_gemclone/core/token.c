/* SPDX-License-Identifier: Apache-2.0
 * Access tokens: JSON Web Tokens (RFC 7519).
 */
#include "token.h"

#include <apr_strings.h>
#include <errno.h>
#include <jwt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static const char reset_scope[] = "reset_password";

static apr_status_t release_cb(void *jwt)
{
    jwt_free(jwt);
    return APR_SUCCESS;
}

static jwt_t *own(apr_pool_t *pool, jwt_t *jwt)
{
    apr_pool_cleanup_register(pool, jwt, release_cb, apr_pool_cleanup_null);
    return jwt;
}

static const char *random_id(apr_pool_t *pool)
{
    unsigned char bytes[16];
    char *text = apr_palloc(pool, 2 * sizeof(bytes) + 1);

    randombytes_buf(bytes, sizeof(bytes));
    return sodium_bin2hex(text, 2 * sizeof(bytes) + 1, bytes, sizeof(bytes));
}

static const char *algorithm_of(const gc_token_key_t *key)
{
    return key->public_pem ? key->algorithm : "HS256";
}

apr_status_t gc_token_sign(apr_pool_t *pool, const gc_token_ring_t *ring, const gc_token_t *token,
                           const char **text)
{
    const gc_token_key_t *key = &APR_ARRAY_IDX(ring->keys, 0, gc_token_key_t);
    jwt_t *jwt;
    char *encoded;

    if (jwt_new(&jwt) != 0) {
        return APR_EGENERAL;
    }
    own(pool, jwt);
    if (jwt_add_header(jwt, "kid", key->kid) != 0 || jwt_add_grant(jwt, "iss", ring->issuer) != 0
        || jwt_add_grant(jwt, "sub", gc_uuid_text(pool, &token->user)) != 0
        || jwt_add_grant(jwt, "sid", gc_uuid_text(pool, &token->session)) != 0
        || jwt_add_grant(jwt, "jti", random_id(pool)) != 0
        || jwt_add_grant_int(jwt, "iat", (long)apr_time_sec(token->issued)) != 0
        || jwt_add_grant_int(jwt, "exp", (long)apr_time_sec(token->expires)) != 0
        || (token->scope == GC_TOKEN_RESET && jwt_add_grant(jwt, "scope", reset_scope) != 0)
        || jwt_set_alg(jwt, jwt_str_alg(algorithm_of(key)), key->secret, (int)key->len) != 0
        || !(encoded = jwt_encode_str(jwt))) {
        return APR_EGENERAL;
    }
    *text = apr_pstrdup(pool, encoded);
    free(encoded);
    return APR_SUCCESS;
}

/* The header's kid; NULL where there is none to be read. */
static const char *peek_kid(apr_pool_t *pool, const char *text)
{
    unsigned char header[512];
    const char *dot = strchr(text, '.'), *why;
    size_t len;
    json_t *json;

    if (!dot
        || sodium_base642bin(header, sizeof(header), text, (size_t)(dot - text), NULL, &len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING)
               != 0
        || gc_json_parse(pool, (const char *)header, len, &json, &why) != APR_SUCCESS) {
        return NULL;
    }
    return json_string_value(json_object_get(json, "kid"));
}

/* With one key the kid can only be right or make the signature fail: it need not be read. */
static const gc_token_key_t *choose_key(apr_pool_t *pool, const gc_token_ring_t *ring,
                                        const char *text)
{
    const char *kid;
    int i;

    if (ring->keys->nelts == 1) {
        return &APR_ARRAY_IDX(ring->keys, 0, gc_token_key_t);
    }
    kid = peek_kid(pool, text);
    for (i = 0; kid && i < ring->keys->nelts; i++) {
        const gc_token_key_t *key = &APR_ARRAY_IDX(ring->keys, i, gc_token_key_t);

        if (strcmp(key->kid, kid) == 0) {
            return key;
        }
    }
    return NULL;
}

static int read_uuid(jwt_t *jwt, const char *claim, gc_uuid_t *uuid)
{
    const char *text = jwt_get_grant(jwt, claim);

    return text && gc_uuid_parse(uuid, text, strlen(text)) == APR_SUCCESS;
}

/* Two clocks of one cluster may differ by as much. */
#define SKEW 5

/* Seconds that an apr_time_t holds. */
#define LATEST (APR_INT64_MAX / APR_USEC_PER_SEC)

/* A scope that is there but cannot be read is none that we gave. */
static int read_scope(jwt_t *jwt, gc_token_scope_e *scope)
{
    const char *text;

    errno = 0;
    text = jwt_get_grant(jwt, "scope");
    *scope = text ? GC_TOKEN_RESET : GC_TOKEN_ACCESS;
    return text ? strcmp(text, reset_scope) == 0 : errno == ENOENT;
}

static int read_claims(jwt_t *jwt, const gc_token_ring_t *ring, apr_time_t now, gc_token_t *token)
{
    const char *issuer = jwt_get_grant(jwt, "iss");
    apr_int64_t issued = jwt_get_grant_int(jwt, "iat");
    apr_int64_t expires = jwt_get_grant_int(jwt, "exp");
    apr_int64_t seconds = apr_time_sec(now);

    if (!issuer || strcmp(issuer, ring->issuer) != 0 || issued <= 0 || issued > seconds + SKEW
        || expires <= seconds || expires > LATEST || !read_uuid(jwt, "sub", &token->user)
        || !read_uuid(jwt, "sid", &token->session) || !read_scope(jwt, &token->scope)) {
        return 0;
    }
    token->issued = apr_time_from_sec(issued);
    token->expires = apr_time_from_sec(expires);
    return 1;
}

/* By its exact name, as RFC 7515 has it; libjwt takes any case. */
static int is_by(jwt_t *jwt, const char *algorithm)
{
    const char *alg = jwt_get_header(jwt, "alg");

    return alg && strcmp(alg, algorithm) == 0;
}

apr_status_t gc_token_verify(apr_pool_t *pool, const gc_token_ring_t *ring, const char *text,
                             apr_time_t now, gc_token_t *token)
{
    const gc_token_key_t *key;
    jwt_t *jwt;
    int rv;

    if (strlen(text) > GC_TOKEN_MAX) {
        return GC_EINPUT;
    }
    key = choose_key(pool, ring, text);
    if (!key) {
        return GC_EINPUT;
    }
    /* libjwt believes the token's own algorithm: what a public key has verified as if it were the
     * key of an HMAC is told by that algorithm, below. */
    rv = key->public_pem ? jwt_decode(&jwt, text, (const unsigned char *)key->public_pem,
                                      (int)strlen(key->public_pem))
                         : jwt_decode(&jwt, text, key->secret, (int)key->len);
    if (rv != 0) {
        return GC_EINPUT;
    }
    own(pool, jwt);
    return is_by(jwt, algorithm_of(key)) && read_claims(jwt, ring, now, token) ? APR_SUCCESS
                                                                               : GC_EINPUT;
}
