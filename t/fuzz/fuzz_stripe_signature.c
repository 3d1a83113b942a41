/* SPDX-License-Identifier: Apache-2.0
 * The header Stripe-Signature. The input is the header on one line, then the body. In the header @
 * and # stand for what the first and the second secret sign.
 *
 * The verdict is held against the rules, read in another way: a signature that is taken is right.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>
#include <sodium.h>

#include "core/membuf.h"
#include "upstream/stripe_event.h"

#define NOW INT64_C(1795409257) /* seconds */

static const char *const secrets[] = {"whsec_first", "whsec_second"};

/* --- The rules ------------------------------------------------------------ */

/* All parts of the header, and nothing that is empty. */
static apr_array_header_t *split(apr_pool_t *pool, const char *header)
{
    apr_array_header_t *parts = apr_array_make(pool, 8, sizeof(char *));
    char *copy = apr_pstrdup(pool, header), *next;

    for (; copy; copy = next) {
        if ((next = strchr(copy, ','))) {
            *next++ = '\0';
        }
        copy += strspn(copy, " ");
        if (*copy) {
            APR_ARRAY_PUSH(parts, char *) = copy;
        }
    }
    return parts;
}

/* The value of the first t, or NULL. */
static const char *time_in(const apr_array_header_t *parts)
{
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const char *part = APR_ARRAY_IDX(parts, i, char *);

        if (strncmp(part, "t=", 2) == 0) {
            return part + 2;
        }
    }
    return NULL;
}

static int is_time(const char *text)
{
    size_t len = text ? strspn(text, "0123456789") : 0;

    return len > 0 && len <= 16 && text[len] == '\0';
}

static const char *sign(apr_pool_t *pool, const char *secret, const char *time, const uint8_t *body,
                        size_t size)
{
    char *hex = apr_palloc(pool, 2 * crypto_auth_hmacsha256_BYTES + 1);
    unsigned char hash[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    size_t len = strlen(time);
    unsigned char *signed_text = apr_palloc(pool, len + 1 + size);

    memcpy(signed_text, time, len);
    signed_text[len] = '.';
    if (size) {
        memcpy(signed_text + len + 1, body, size);
    }
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, signed_text, len + 1 + size);
    crypto_auth_hmacsha256_final(&state, hash);
    return sodium_bin2hex(hex, 2 * sizeof(hash) + 1, hash, sizeof(hash));
}

static gc_stripe_signed_e judge(apr_pool_t *pool, const char *header, const uint8_t *body,
                                size_t size)
{
    const apr_array_header_t *parts = split(pool, header);
    const char *time = time_in(parts), *first, *second;
    int i, there = 0, right = 0;

    if (!is_time(time) || size == 0) {
        return GC_STRIPE_UNSIGNED;
    }
    first = sign(pool, secrets[0], time, body, size);
    second = sign(pool, secrets[1], time, body, size);
    for (i = 0; i < parts->nelts; i++) {
        const char *part = APR_ARRAY_IDX(parts, i, char *);

        if (strncmp(part, "v1=", 3) == 0) {
            there = 1;
            right |= strcmp(part + 3, first) == 0 || strcmp(part + 3, second) == 0;
        }
    }
    return !there                                       ? GC_STRIPE_UNSIGNED
           : !right                                     ? GC_STRIPE_FORGED
           : llabs(strtoll(time, NULL, 10) - NOW) > 300 ? GC_STRIPE_OLD
                                                        : GC_STRIPE_SIGNED;
}

/* --- The target ----------------------------------------------------------- */

/* Puts signatures where they are asked for. */
static const char *fill_in(apr_pool_t *pool, const char *line, const uint8_t *body, size_t size)
{
    const char *time = time_in(split(pool, line));
    gc_membuf_t *header = apr_palloc(pool, sizeof(*header));

    gc_membuf_init(header, pool, (apr_size_t)1024 * 1024);
    for (; *line; line++) {
        const char *secret = *line == '@' ? secrets[0] : *line == '#' ? secrets[1] : NULL;
        const char *text = secret && time ? sign(pool, secret, time, body, size) : line;

        HOLDS(gc_membuf_append(header, text, text == line ? 1 : strlen(text)) == APR_SUCCESS);
    }
    HOLDS(gc_membuf_append(header, "", 1) == APR_SUCCESS);
    return header->bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const gc_stripe_secret_t of_endpoint[] = {
        {(const unsigned char *)secrets[0], strlen(secrets[0])},
        {(const unsigned char *)secrets[1], strlen(secrets[1])},
    };
    apr_pool_t *pool = fuzz_pool();
    const char *line = fuzz_line(pool, &data, &size);
    const char *header = fill_in(pool, line, data, size);

    HOLDS(gc_stripe_verify(header, fuzz_text(pool, data, size), size, of_endpoint, 2,
                           apr_time_from_sec(NOW))
          == judge(pool, header, data, size));
    apr_pool_destroy(pool);
    return 0;
}
