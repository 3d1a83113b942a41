/* SPDX-License-Identifier: Apache-2.0
 * Cursors of paged lists: opaque to clients, and nothing that one makes up
 * reaches another user's rows, since every statement is bound to the user.
 */
#ifndef GC_CURSOR_H
#define GC_CURSOR_H

#include <apr_time.h>
#include "uuid.h"

/* Where a page ended: the last row's place in the list's order. */
typedef struct gc_cursor_t {
    apr_int64_t number; /* a message's id, or a time: from 0 to 2^53 */
    gc_uuid_t id;       /* among rows of the same number */
} gc_cursor_t;

/* base64url, in the pool. */
const char *gc_cursor_text(apr_pool_t *pool, const gc_cursor_t *cursor);

/* GC_EINPUT: not one of ours. */
GC_MUST_CHECK apr_status_t gc_cursor_parse(const char *text, gc_cursor_t *cursor);

#endif
