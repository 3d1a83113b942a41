/* SPDX-License-Identifier: Apache-2.0
 * Cursors of paged lists.
 */
#include "cursor.h"

#include <sodium.h>
#include <string.h>

enum { NUMBER = 8, BYTES = NUMBER + 16, TEXT = BYTES / 3 * 4 };

/* Ids end there, and times come there in the year 2255. */
#define LARGEST ((apr_uint64_t)1 << 53)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

const char *gc_cursor_text(apr_pool_t *pool, const gc_cursor_t *cursor)
{
    unsigned char bytes[BYTES];
    size_t size = sodium_base64_ENCODED_LEN(BYTES, VARIANT);
    char *text = apr_palloc(pool, size);
    int i;

    for (i = 0; i < NUMBER; i++) {
        bytes[i] = (unsigned char)((apr_uint64_t)cursor->number >> (8 * (NUMBER - 1 - i)));
    }
    memcpy(bytes + NUMBER, cursor->id.bytes, sizeof(cursor->id.bytes));
    return sodium_bin2base64(text, size, bytes, BYTES, VARIANT);
}

apr_status_t gc_cursor_parse(const char *text, gc_cursor_t *cursor)
{
    unsigned char bytes[BYTES];
    apr_uint64_t number = 0;
    size_t len;
    int i;

    /* libsodium 1.0.18 takes some bytes above 0x7F for digits. */
    if (strspn(text, alphabet) != TEXT || text[TEXT] != '\0'
        || sodium_base642bin(bytes, BYTES, text, TEXT, NULL, &len, NULL, VARIANT) != 0) {
        return GC_EINPUT;
    }
    for (i = 0; i < NUMBER; i++) {
        number = number << 8 | bytes[i];
    }
    if (number > LARGEST) {
        return GC_EINPUT;
    }
    cursor->number = (apr_int64_t)number;
    memcpy(cursor->id.bytes, bytes + NUMBER, sizeof(cursor->id.bytes));
    return APR_SUCCESS;
}
