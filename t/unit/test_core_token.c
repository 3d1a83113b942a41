/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of access tokens, against tokens that are made by hand.
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
#include <jansson.h>
#include <jwt.h>
#include <sodium.h>

#include "core/token.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

#define NOW INT64_C(1795409257) /* seconds */
#define USER "01234567-89ab-cdef-0123-456789abcdef"
#define ID "fedcba98-7654-3210-fedc-ba9876543210"
#define HEADER "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\"}"

/* --- Keys and rings -------------------------------------------------------- */

#define KEY(name, bytes)                                                                           \
    {                                                                                              \
        .kid = (name), .secret = (const unsigned char *)(bytes), .len = sizeof(bytes) - 1          \
    }

static const gc_token_key_t key_a = KEY("a", "0123456789abcdef0123456789abcdef");
static const gc_token_key_t key_b = KEY("b", "another secret of 32 bytes/////!");
/* These two differ behind a NUL only. */
static const gc_token_key_t key_nul_1 = KEY("a", "0123456789abcde\0aaaaaaaaaaaaaaaa");
static const gc_token_key_t key_nul_2 = KEY("a", "0123456789abcde\0bbbbbbbbbbbbbbbb");

static gc_token_ring_t *ring_of(const gc_token_key_t *first, const gc_token_key_t *second)
{
    gc_token_ring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->issuer = "gemclone";
    ring->keys = apr_array_make(pool, 2, sizeof(gc_token_key_t));
    APR_ARRAY_PUSH(ring->keys, gc_token_key_t) = *first;
    if (second) {
        APR_ARRAY_PUSH(ring->keys, gc_token_key_t) = *second;
    }
    return ring;
}

static gc_token_t token_for(gc_token_scope_e scope)
{
    gc_token_t token = {
        .scope = scope, .issued = apr_time_from_sec(NOW), .expires = apr_time_from_sec(NOW + 1800)};

    assert_int_equal(gc_uuid_parse(&token.user, USER, GC_UUID_TEXT), APR_SUCCESS);
    assert_int_equal(gc_uuid_parse(&token.session, ID, GC_UUID_TEXT), APR_SUCCESS);
    return token;
}

static const char *sign(const gc_token_ring_t *ring, gc_token_scope_e scope)
{
    gc_token_t token = token_for(scope);
    const char *text = NULL;

    assert_int_equal(gc_token_sign(pool, ring, &token, &text), APR_SUCCESS);
    return text;
}

static apr_status_t verify(const gc_token_ring_t *ring, const char *text)
{
    gc_token_t token;

    return gc_token_verify(pool, ring, text, apr_time_from_sec(NOW), &token);
}

/* --- Tokens by hand -------------------------------------------------------- */

static const char *base64(const void *bytes, apr_size_t len)
{
    size_t size = sodium_base64_ENCODED_LEN(len, VARIANT);

    return sodium_bin2base64(apr_palloc(pool, size), size, bytes, len, VARIANT);
}

static const char *hmac_256(const gc_token_key_t *key, const char *text)
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&state, key->secret, key->len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, mac);
    return base64(mac, sizeof(mac));
}

static const char *unsigned_token(const char *header, const char *payload)
{
    return apr_pstrcat(pool, base64(header, strlen(header)), ".", base64(payload, strlen(payload)),
                       NULL);
}

/* Signed with HMAC-SHA256, whatever the header says. */
static const char *forge(const gc_token_key_t *key, const char *header, const char *payload)
{
    const char *text = unsigned_token(header, payload);

    return apr_pstrcat(pool, text, ".", hmac_256(key, text), NULL);
}

/* The claims of a good token, with one of them set to what is given as JSON, or taken away. */
static const char *payload_with(const char *claim, const char *value)
{
    json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "iss", "gemclone", "sub", USER,
                               "sid", ID, "jti", "00112233445566778899aabbccddeeff", "iat",
                               (json_int_t)NOW, "exp", (json_int_t)NOW + 1800);
    char *dump;
    const char *payload;

    assert_non_null(claims);
    if (claim && value) {
        json_t *json = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

        assert_non_null(json);
        json_object_set_new(claims, claim, json);
    } else if (claim) {
        json_object_del(claims, claim);
    }
    dump = json_dumps(claims, JSON_COMPACT);
    payload = apr_pstrdup(pool, dump);
    free(dump);
    json_decref(claims);
    return payload;
}

/* --- Reading tokens by hand ------------------------------------------------ */

static const char *part_of(const char *text, int part)
{
    char *copy = apr_pstrdup(pool, text), *rest = NULL, *found = apr_strtok(copy, ".", &rest);

    while (part-- > 0) {
        found = apr_strtok(NULL, ".", &rest);
    }
    assert_non_null(found);
    return found;
}

static json_t *json_of(const char *text, int part)
{
    const char *encoded = part_of(text, part);
    char *bytes = apr_palloc(pool, strlen(encoded));
    json_t *json;
    size_t len;

    assert_int_equal(sodium_base642bin((unsigned char *)bytes, strlen(encoded), encoded,
                                       strlen(encoded), NULL, &len, NULL, VARIANT),
                     0);
    json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static void check_json(json_t *json, const char *expected)
{
    json_t *other = json_loads(expected, 0, NULL);
    char *dump = json_dumps(json, JSON_COMPACT);

    if (!json_equal(json, other)) {
        fail_msg("%s, but %s expected", dump, expected);
    }
    free(dump);
    json_decref(other);
    json_decref(json);
}

/* --- Signing --------------------------------------------------------------- */

static void check_claims(gc_token_scope_e scope, const char *more)
{
    const char *text = sign(ring_of(&key_a, &key_b), scope), *jti;
    json_t *claims = json_of(text, 1);

    check_json(json_of(text, 0), HEADER);
    jti = json_string_value(json_object_get(claims, "jti"));
    assert_non_null(jti);
    assert_int_equal(strlen(jti), 32);
    assert_int_equal(strspn(jti, "0123456789abcdef"), 32);
    json_object_del(claims, "jti");
    check_json(claims, apr_psprintf(pool,
                                    "{\"iss\":\"gemclone\",\"sub\":\"%s\",\"sid\":\"%s\","
                                    "\"iat\":1795409257,\"exp\":1795411057%s}",
                                    USER, ID, more));
}

static void test_claims(void **state)
{
    (void)state;
    check_claims(GC_TOKEN_ACCESS, "");
    check_claims(GC_TOKEN_RESET, ",\"scope\":\"reset_password\"");
}

/* RFC 7515, by another implementation of HMAC. */
static void test_signature(void **state)
{
    const char *text = sign(ring_of(&key_a, NULL), GC_TOKEN_ACCESS), *dot = strrchr(text, '.');

    (void)state;
    assert_int_equal(
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
        strlen(text));
    assert_string_equal(dot + 1,
                        hmac_256(&key_a, apr_pstrmemdup(pool, text, (apr_size_t)(dot - text))));
}

static void test_no_two_are_the_same(void **state)
{
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);

    (void)state;
    assert_string_not_equal(sign(ring, GC_TOKEN_ACCESS), sign(ring, GC_TOKEN_ACCESS));
}

static void check_round_trip(gc_token_scope_e scope)
{
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);
    gc_token_t token = token_for(scope), read;

    memset(&read, 0xFF, sizeof(read));
    assert_int_equal(gc_token_verify(pool, ring, sign(ring, scope), token.issued, &read),
                     APR_SUCCESS);
    assert_true(gc_uuid_equal(&read.user, &token.user));
    assert_true(gc_uuid_equal(&read.session, &token.session));
    assert_int_equal(read.scope, scope);
    assert_true(read.issued == token.issued);
    assert_true(read.expires == token.expires);
}

static void test_round_trip(void **state)
{
    (void)state;
    check_round_trip(GC_TOKEN_ACCESS);
    check_round_trip(GC_TOKEN_RESET);
}

/* --- Times ----------------------------------------------------------------- */

static void test_times(void **state)
{
    static const struct {
        int iat, exp; /* from now, in seconds */
        apr_status_t rv;
    } cases[] = {
        {0, 1800, APR_SUCCESS},  {-1800, 1, APR_SUCCESS}, {-1800, 0, GC_EINPUT},
        {-1800, -1, GC_EINPUT},  {5, 1800, APR_SUCCESS},  {6, 1800, GC_EINPUT},
        {3600, 7200, GC_EINPUT},
    };
    static const apr_time_t within[] = {0, 1, 999999};
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);
    gc_token_t token = token_for(GC_TOKEN_ACCESS), read;
    const char *text;
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        token.issued = apr_time_from_sec(NOW + cases[i].iat);
        token.expires = apr_time_from_sec(NOW + cases[i].exp);
        assert_int_equal(gc_token_sign(pool, ring, &token, &text), APR_SUCCESS);
        for (k = 0; k < COUNT(within); k++) {
            assert_int_equal(
                gc_token_verify(pool, ring, text, apr_time_from_sec(NOW) + within[k], &read),
                cases[i].rv);
        }
    }
}

/* --- Who signed ------------------------------------------------------------ */

static void test_other_key(void **state)
{
    (void)state;
    assert_int_equal(verify(ring_of(&key_b, NULL), sign(ring_of(&key_a, NULL), GC_TOKEN_ACCESS)),
                     GC_EINPUT);
    assert_int_equal(
        verify(ring_of(&key_nul_1, NULL), sign(ring_of(&key_nul_1, NULL), GC_TOKEN_ACCESS)),
        APR_SUCCESS);
    assert_int_equal(
        verify(ring_of(&key_nul_2, NULL), sign(ring_of(&key_nul_1, NULL), GC_TOKEN_ACCESS)),
        GC_EINPUT);
}

static void test_other_issuer(void **state)
{
    static const char *const issuers[] = {"gemclone2", "Gemclone", "gemclon", "", "gemclone "};
    gc_token_ring_t *ring = ring_of(&key_a, NULL), *other = ring_of(&key_a, NULL);
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(issuers); i++) {
        other->issuer = issuers[i];
        assert_int_equal(verify(ring, sign(other, GC_TOKEN_ACCESS)), GC_EINPUT);
        assert_int_equal(verify(other, sign(ring, GC_TOKEN_ACCESS)), GC_EINPUT);
    }
}

/* The new key behind, then in front, then the old one away. */
static void test_rolling_a_key(void **state)
{
    const gc_token_ring_t *rings[] = {ring_of(&key_a, NULL), ring_of(&key_a, &key_b),
                                      ring_of(&key_b, &key_a), ring_of(&key_b, NULL)};
    const char *old = sign(rings[0], GC_TOKEN_ACCESS), *new = sign(rings[3], GC_TOKEN_ACCESS);
    size_t i;

    (void)state;
    check_json(json_of(sign(rings[1], GC_TOKEN_ACCESS), 0), HEADER);
    check_json(json_of(sign(rings[2], GC_TOKEN_ACCESS), 0),
               "{\"alg\":\"HS256\",\"kid\":\"b\",\"typ\":\"JWT\"}");
    for (i = 0; i < COUNT(rings); i++) {
        assert_int_equal(verify(rings[i], old), i < 3 ? APR_SUCCESS : GC_EINPUT);
        assert_int_equal(verify(rings[i], new), i > 0 ? APR_SUCCESS : GC_EINPUT);
    }
}

/* With several keys, kid says which, and there is no second guess. */
static void test_kid(void **state)
{
    const gc_token_ring_t *ring = ring_of(&key_a, &key_b);
    const char *payload = payload_with(NULL, NULL);
    const char *headers[] = {
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"c\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"A\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"b\",\"typ\":\"JWT\"}", /* the other key's */
        "{\"alg\":\"HS256\",\"kid\":0,\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":null,\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":[\"a\"],\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"a\",\"typ\":\"JWT\"}",
        "[\"kid\",\"a\"]",
        "\"a\"",
        "a",
        "",
        apr_psprintf(pool, "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\",\"x\":\"%0600d\"}", 0),
    };
    size_t i;

    (void)state;
    assert_int_equal(verify(ring, forge(&key_a, HEADER, payload)), APR_SUCCESS);
    assert_int_equal(verify(ring, forge(&key_b, HEADER, payload)), GC_EINPUT);
    for (i = 0; i < COUNT(headers); i++) {
        if (verify(ring, forge(&key_a, headers[i], payload)) != GC_EINPUT) {
            fail_msg("accepted %s", headers[i]);
        }
    }
}

/* --- Algorithms ------------------------------------------------------------ */

static const char *sign_by_libjwt(jwt_alg_t alg, const gc_token_key_t *key)
{
    const char *text;
    char *encoded;
    jwt_t *jwt;

    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_header(jwt, "kid", key->kid), 0);
    assert_int_equal(jwt_add_grants_json(jwt, payload_with(NULL, NULL)), 0);
    assert_int_equal(jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : key->secret,
                                 alg == JWT_ALG_NONE ? 0 : (int)key->len),
                     0);
    encoded = jwt_encode_str(jwt);
    assert_non_null(encoded);
    text = apr_pstrdup(pool, encoded);
    free(encoded);
    jwt_free(jwt);
    return text;
}

/* The right secret is not enough. */
static void test_algorithms(void **state)
{
    static const jwt_alg_t others[] = {JWT_ALG_NONE, JWT_ALG_HS384, JWT_ALG_HS512};
    const gc_token_ring_t *rings[] = {ring_of(&key_a, NULL), ring_of(&key_a, &key_b)};
    size_t i, k;

    (void)state;
    for (k = 0; k < COUNT(rings); k++) {
        assert_int_equal(verify(rings[k], sign_by_libjwt(JWT_ALG_HS256, &key_a)), APR_SUCCESS);
        for (i = 0; i < COUNT(others); i++) {
            assert_int_equal(verify(rings[k], sign_by_libjwt(others[i], &key_a)), GC_EINPUT);
        }
    }
}

static void test_algorithm_names(void **state)
{
    static const char *const names[] = {"\"none\"",  "\"None\"",   "\"NONE\"",    "\"\"",
                                        "null",      "0",          "[\"HS256\"]", "\"HS384\"",
                                        "\"HS512\"", "\"RS256\"",  "\"ES256\"",   "\"PS256\"",
                                        "\"EdDSA\"", "\"HS256 \"", "\"x\""};
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);
    const char *payload = payload_with(NULL, NULL);
    size_t i;

    (void)state;
    assert_int_equal(verify(ring, forge(&key_a, "{\"typ\":\"JWT\"}", payload)), GC_EINPUT);
    for (i = 0; i < COUNT(names); i++) {
        const char *header =
            apr_psprintf(pool, "{\"alg\":%s,\"kid\":\"a\",\"typ\":\"JWT\"}", names[i]);
        const char *bare = unsigned_token(header, payload);

        if (verify(ring, forge(&key_a, header, payload)) != GC_EINPUT
            || verify(ring, apr_pstrcat(pool, bare, ".", NULL)) != GC_EINPUT
            || verify(ring, bare) != GC_EINPUT) {
            fail_msg("accepted %s", header);
        }
    }
}

/* A good header and no signature, or some other. */
static void test_no_signature(void **state)
{
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);
    const char *bare = unsigned_token(HEADER, payload_with(NULL, NULL)),
               *mac = hmac_256(&key_a, bare);
    const char *signatures[] = {"",
                                ".",
                                "..",
                                ".A",
                                apr_pstrcat(pool, ".", mac, "=", NULL),
                                apr_pstrcat(pool, ".", mac, ".", NULL),
                                apr_pstrcat(pool, ".", mac, ".", mac, NULL),
                                apr_pstrcat(pool, "..", mac, NULL),
                                apr_pstrcat(pool, ".", hmac_256(&key_b, bare), NULL),
                                apr_pstrcat(pool, ". ", mac, NULL)};
    size_t i;

    (void)state;
    assert_int_equal(verify(ring, apr_pstrcat(pool, bare, ".", mac, NULL)), APR_SUCCESS);
    for (i = 0; i < COUNT(signatures); i++) {
        if (verify(ring, apr_pstrcat(pool, bare, signatures[i], NULL)) != GC_EINPUT) {
            fail_msg("accepted signature %d", (int)i);
        }
    }
}

/* --- Claims ---------------------------------------------------------------- */

static void check_claim(const char *claim, const char *value, apr_status_t rv)
{
    const char *text = forge(&key_a, HEADER, payload_with(claim, value));

    if (verify(ring_of(&key_a, NULL), text) != rv) {
        fail_msg("%s: %s is %s", claim, value ? value : "nothing",
                 rv == APR_SUCCESS ? "refused" : "accepted");
    }
}

static void test_missing_claims(void **state)
{
    static const char *const needed[] = {"iss", "sub", "sid", "iat", "exp"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(needed); i++) {
        check_claim(needed[i], NULL, GC_EINPUT);
    }
    check_claim("jti", NULL, APR_SUCCESS);
    check_claim("more", "[1]", APR_SUCCESS);
}

/* Each claim with each type that is not its own. A scope that cannot be read must not be taken for
 * the widest one. */
static void test_wrong_types(void **state)
{
    static const char *const texts[] = {"iss", "sub", "sid", "scope"}, *const numbers[] = {"iat",
                                                                                           "exp"};
    static const char *const no_text[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "1",
                                          "1.5",
                                          "[]",
                                          "{}",
                                          "[\"reset_password\"]",
                                          "[\"gemclone\"]",
                                          "[\"" USER "\"]"};
    static const char *const no_number[] = {
        "null", "true", "\"\"", "\"1795409257\"", "[1795409257]", "{}", "1795409257.5", "1e30"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(texts); i++) {
        for (k = 0; k < COUNT(no_text); k++) {
            check_claim(texts[i], no_text[k], GC_EINPUT);
        }
    }
    for (i = 0; i < COUNT(numbers); i++) {
        for (k = 0; k < COUNT(no_number); k++) {
            check_claim(numbers[i], no_number[k], GC_EINPUT);
        }
    }
}

static void test_wrong_values(void **state)
{
    static const struct {
        const char *claim, *value;
    } cases[] = {
        {"iss", "\"\""},
        {"iss", "\"gemclone\\u0000\""},
        {"sub", "\"\""},
        {"sub", "\"0123456789abcdef0123456789abcdef\""},
        {"sub", "\"{" USER "}\""},
        {"sub", "\"" USER " \""},
        {"sub", "\"" USER "\\u0000\""},
        {"sid", "\"x\""},
        {"scope", "\"\""},
        {"scope", "\"admin\""},
        {"scope", "\"reset_password \""},
        {"scope", "\"reset_password\\u0000\""},
        {"iat", "0"},
        {"iat", "-1"},
        {"iat", "9223372036854775807"},
        {"iat", "-9223372036854775808"},
        {"exp", "0"},
        {"exp", "-1"},
        {"exp", "-9223372036854775808"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        check_claim(cases[i].claim, cases[i].value, GC_EINPUT);
    }
}

/* An end that no clock of ours reaches is refused or read right, and does not come out in the past.
 */
static void test_huge_end(void **state)
{
    static const char *const ends[] = {"9223372036854", "9223372036855", "18446744073710",
                                       "9223372036854775807"};
    gc_token_t token;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ends); i++) {
        const char *text = forge(&key_a, HEADER, payload_with("exp", ends[i]));

        if (gc_token_verify(pool, ring_of(&key_a, NULL), text, apr_time_from_sec(NOW), &token)
                == APR_SUCCESS
            && apr_time_sec(token.expires) != apr_atoi64(ends[i])) {
            fail_msg("exp %s is read as %lld", ends[i], (long long)token.expires);
        }
    }
}

static void test_payload_no_object(void **state)
{
    static const char *const payloads[] = {
        "",      "null", "[]",
        "\"x\"", "1",    "{",
        "{}",    "{}{}", "{\"iss\":\"gemclone\",\"iss\":\"gemclone\"}",
        "\xFF"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(payloads); i++) {
        assert_int_equal(verify(ring_of(&key_a, NULL), forge(&key_a, HEADER, payloads[i])),
                         GC_EINPUT);
    }
}

/* --- Texts that are no tokens ---------------------------------------------- */

/* Up to GC_TOKEN_MAX characters, not one more. */
static void test_length(void **state)
{
    const gc_token_ring_t *ring = ring_of(&key_a, NULL);
    int fill, pad, met[2] = {0, 0};

    (void)state;
    for (pad = 1; pad < 5; pad++) {
        const char *header = apr_psprintf(
            pool, "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\",\"x\":\"%0*d\"}", pad, 0);

        for (fill = 1100; fill < 1300; fill++) {
            const char *more = apr_psprintf(pool, "\"%0*d\"", fill, 0);
            const char *text = forge(&key_a, header, payload_with("more", more));
            int len = (int)strlen(text);

            assert_int_equal(verify(ring, text), len <= GC_TOKEN_MAX ? APR_SUCCESS : GC_EINPUT);
            met[0] |= len == GC_TOKEN_MAX;
            met[1] |= len == GC_TOKEN_MAX + 1;
        }
    }
    assert_true(met[0] && met[1]);
}

static void test_junk(void **state)
{
    static const char *const junk[] = {
        "",        ".",      "..", "...",      "a",           "a.b",           "a.b.c",
        "a.b.c.d", "bearer", " ",  "e30.e30.", "e30.e30.e30", "\xFF.\xFF.\xFF"};
    const gc_token_ring_t *rings[] = {ring_of(&key_a, NULL), ring_of(&key_a, &key_b)};
    char *huge = apr_palloc(pool, 1000001);
    size_t i, k;

    (void)state;
    memset(huge, '.', 1000000);
    huge[1000000] = '\0';
    for (k = 0; k < COUNT(rings); k++) {
        for (i = 0; i < COUNT(junk); i++) {
            assert_int_equal(verify(rings[k], junk[i]), GC_EINPUT);
        }
        assert_int_equal(verify(rings[k], huge), GC_EINPUT);
        huge[GC_TOKEN_MAX] = '\0';
        assert_int_equal(verify(rings[k], huge), GC_EINPUT);
    }
}

/* Every prefix of a good token and every bit of it turned. */
static void test_broken_anywhere(void **state)
{
    const gc_token_ring_t *rings[] = {ring_of(&key_a, NULL), ring_of(&key_a, &key_b)};
    const char *good = sign(rings[0], GC_TOKEN_ACCESS);
    apr_size_t len = strlen(good), at;
    char *text = apr_pstrdup(pool, good);
    size_t k;
    int bit;

    (void)state;
    for (k = 0; k < COUNT(rings); k++) {
        assert_int_equal(verify(rings[k], good), APR_SUCCESS);
        for (at = 0; at < len; at++) {
            text[at] = '\0';
            assert_int_equal(verify(rings[k], text), GC_EINPUT);
            for (bit = 0; bit < 8; bit++) {
                text[at] = (char)(good[at] ^ 1 << bit);
                assert_int_equal(verify(rings[k], text), GC_EINPUT);
            }
            text[at] = good[at];
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_claims),
        FRAMED_TEST(test_signature),
        FRAMED_TEST(test_no_two_are_the_same),
        FRAMED_TEST(test_round_trip),
        FRAMED_TEST(test_times),
        FRAMED_TEST(test_other_key),
        FRAMED_TEST(test_other_issuer),
        FRAMED_TEST(test_rolling_a_key),
        FRAMED_TEST(test_kid),
        FRAMED_TEST(test_algorithms),
        FRAMED_TEST(test_algorithm_names),
        FRAMED_TEST(test_no_signature),
        FRAMED_TEST(test_missing_claims),
        FRAMED_TEST(test_wrong_types),
        FRAMED_TEST(test_wrong_values),
        FRAMED_TEST(test_huge_end),
        FRAMED_TEST(test_payload_no_object),
        FRAMED_TEST(test_length),
        FRAMED_TEST(test_junk),
        FRAMED_TEST(test_broken_anywhere),
    };

    return RUN_FRAMED(tests);
}
