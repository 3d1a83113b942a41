/* SPDX-License-Identifier: Apache-2.0
 * UUIDs between text and bytes.
 */
#include "uuid.h"

#include <sodium.h>
#include <string.h>

apr_status_t gc_uuid_parse(gc_uuid_t *uuid, const char *text, apr_size_t len)
{
    size_t read;
    const char *end;

    if (len != GC_UUID_TEXT || text[8] != '-' || text[13] != '-' || text[18] != '-'
        || text[23] != '-') {
        return GC_EINPUT;
    }
    if (sodium_hex2bin(uuid->bytes, sizeof(uuid->bytes), text, len, "-", &read, &end) != 0
        || read != sizeof(uuid->bytes) || end != text + len) {
        return GC_EINPUT;
    }
    return APR_SUCCESS;
}

gc_uuid_t gc_uuid_new(void)
{
    gc_uuid_t uuid;

    randombytes_buf(uuid.bytes, sizeof(uuid.bytes));
    uuid.bytes[6] = (unsigned char)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (unsigned char)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

const char *gc_uuid_text(apr_pool_t *pool, const gc_uuid_t *uuid)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    const unsigned char *from = uuid->bytes;
    char *text = apr_palloc(pool, GC_UUID_TEXT + 1);
    char *to = text;
    size_t i;

    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        sodium_bin2hex(to, 2 * groups[i] + 1, from, groups[i]);
        from += groups[i];
        to += 2 * groups[i];
        *to++ = '-';
    }
    text[GC_UUID_TEXT] = '\0';
    return text;
}

int gc_uuid_equal(const gc_uuid_t *a, const gc_uuid_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
