/* SPDX-License-Identifier: Apache-2.0
 * Refresh tokens, as text and as bytes: the input is either. A token that is taken prints as it
 * came, and none is genuine that was not made under the key.
 */
#include "fuzz.h"

#include <string.h>

#include "core/refresh.h"

static const gc_hash_t key = {"a key for nothing but this"};
static const gc_hash_t foreign = {"another key"};

static void check_text(apr_pool_t *pool, const char *text)
{
    gc_refresh_t token;

    if (gc_refresh_parse(text, &token) == APR_SUCCESS) {
        HOLDS(strcmp(gc_refresh_text(pool, &token), text) == 0);
    }
}

/* The successor of what the bytes are is genuine, until one of its bytes is another: the first two
 * bytes of the input say which, and how. */
static void check_bytes(apr_pool_t *pool, const uint8_t *data, size_t size)
{
    gc_refresh_t token = {0}, next, again;

    memcpy(&token, data, size < sizeof(token) ? size : sizeof(token));
    gc_refresh_next(&key, &token, &next);
    HOLDS(gc_uuid_equal(&token.session, &next.session));
    HOLDS(gc_refresh_is_genuine(&key, &next) && !gc_refresh_is_genuine(&foreign, &next));
    HOLDS(gc_refresh_parse(gc_refresh_text(pool, &next), &again) == APR_SUCCESS);
    HOLDS(memcmp(&next, &again, sizeof(next)) == 0);
    if (size >= 2 && data[1]) {
        ((unsigned char *)&again)[data[0] % sizeof(again)] ^= data[1];
        HOLDS(!gc_refresh_is_genuine(&key, &again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();

    check_text(pool, fuzz_text(pool, data, size));
    if (size) {
        check_bytes(pool, data, size);
    }
    apr_pool_destroy(pool);
    return 0;
}
