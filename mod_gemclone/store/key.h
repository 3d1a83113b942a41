/* SPDX-License-Identifier: Apache-2.0
 * An Idempotency-Key of a request that creates something; see sql/deploy/idempotency.sql.
 */
#ifndef GC_KEY_H
#define GC_KEY_H

#include "core/code.h"
#include "db.h"

typedef struct gc_key_t {
    const char *text; /* NULL: the request came without one */
    gc_hash_t fingerprint;
} gc_key_t;

/* Adds two arguments: the key, and the fingerprint of the request that it came with. */
static inline void gc_key_add(gc_db_params_t *params, const gc_key_t *key)
{
    gc_db_add_text(params, key->text);
    gc_db_add_bytes(params, key->text ? key->fingerprint.bytes : NULL, GC_HASH_BYTES);
}

#endif
