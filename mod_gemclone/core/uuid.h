/* SPDX-License-Identifier: Apache-2.0
 * UUIDs (RFC 9562) between text and Postgres' 16 bytes.
 */
#ifndef GC_UUID_H
#define GC_UUID_H

#include <apr_pools.h>
#include "status.h"

#define GC_UUID_TEXT 36

typedef struct gc_uuid_t {
    unsigned char bytes[16];
} gc_uuid_t;

/* Reads the 36 character form, in either case. len is the text's length. */
GC_MUST_CHECK apr_status_t gc_uuid_parse(gc_uuid_t *uuid, const char *text, apr_size_t len);

/* A random one (version 4). */
gc_uuid_t gc_uuid_new(void);

/* Lower case, in the pool. */
const char *gc_uuid_text(apr_pool_t *pool, const gc_uuid_t *uuid);

int gc_uuid_equal(const gc_uuid_t *a, const gc_uuid_t *b);

#endif
