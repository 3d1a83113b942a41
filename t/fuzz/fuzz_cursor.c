/* SPDX-License-Identifier: Apache-2.0
 * Cursors: ?cursor= as a client sends it. A cursor that is taken prints as it came, and what is
 * printed is taken.
 */
#include "fuzz.h"

#include <string.h>

#include "core/cursor.h"

#define LARGEST (INT64_C(1) << 53)

static void check_text(apr_pool_t *pool, const char *text)
{
    gc_cursor_t cursor;

    if (gc_cursor_parse(text, &cursor) == APR_SUCCESS) {
        HOLDS(cursor.number >= 0 && cursor.number <= LARGEST);
        HOLDS(strcmp(gc_cursor_text(pool, &cursor), text) == 0);
    }
}

/* The input's bytes as a place. */
static void check_place(apr_pool_t *pool, const uint8_t *data, size_t size)
{
    gc_cursor_t cursor = {0}, read;

    memcpy(cursor.id.bytes, data, size < 16 ? size : 16);
    if (size > 16) {
        memcpy(&cursor.number, data + 16, size - 16 < 8 ? size - 16 : 8);
        cursor.number &= LARGEST - 1;
    }
    HOLDS(gc_cursor_parse(gc_cursor_text(pool, &cursor), &read) == APR_SUCCESS);
    HOLDS(read.number == cursor.number && gc_uuid_equal(&read.id, &cursor.id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();

    check_text(pool, fuzz_text(pool, data, size));
    if (size) {
        check_place(pool, data, size);
    }
    apr_pool_destroy(pool);
    return 0;
}
