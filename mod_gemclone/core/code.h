/* SPDX-License-Identifier: Apache-2.0
 * What only its owner may know: one-time codes, refresh tokens, and the
 * hashes that are kept of them.
 */
#ifndef GC_CODE_H
#define GC_CODE_H

#include <apr_pools.h>
#include "status.h"

#define GC_HASH_BYTES 32

typedef struct gc_hash_t {
    unsigned char bytes[GC_HASH_BYTES];
} gc_hash_t;

/* A key of GC_HASH_BYTES out of an admin's secret of any length. */
void gc_code_key(const void *secret, apr_size_t len, gc_hash_t *key);

/* Another key out of that one, for one use only. */
void gc_code_derive(const gc_hash_t *key, const char *use, gc_hash_t *derived);

/* A random code of so many digits (4 to 8), each code as likely as the others. */
const char *gc_code_new(apr_pool_t *pool, int digits);

/* The keyed hash (BLAKE2b) of a code, bound to the number and purpose it was made for. */
void gc_code_hash(const gc_hash_t *key, const char *e164, const char *purpose, const char *code,
                  gc_hash_t *hash);

/* A random token of 256 bits, base64url, and the hash to store of it. */
const char *gc_code_refresh_new(apr_pool_t *pool, gc_hash_t *hash);

/* What only holders of the key can read, for as long as a code is on its way: the text, encrypted
 * (XSalsa20-Poly1305), in the pool; and back. GC_EINPUT: it was not made under this key. */
const unsigned char *gc_code_seal(apr_pool_t *pool, const gc_hash_t *key, const char *text,
                                  apr_size_t *len);
GC_MUST_CHECK apr_status_t gc_code_open(apr_pool_t *pool, const gc_hash_t *key,
                                        const unsigned char *sealed, apr_size_t len,
                                        const char **text);

/* A plain hash (BLAKE2b) over parts, each with its length: a NULL part ends the list. */
void gc_code_fingerprint(gc_hash_t *hash, const char *part, ...) __attribute__((sentinel));

#endif
