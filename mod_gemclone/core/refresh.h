/* SPDX-License-Identifier: Apache-2.0
 * Refresh tokens: each names its session, and makes its own successor.
 *
 *   session (16 bytes) | secret (32) | tag (16), in base64url
 *
 * Only a hash is stored. The successor's secret is a keyed hash of the one before, so that of two
 * requests that come with the same token both get the same successor, without its being kept
 * anywhere. The tag tells a token that was used before from one that never was ours, which must
 * not be able to end anybody's session.
 */
#ifndef GC_REFRESH_H
#define GC_REFRESH_H

#include "code.h"
#include "uuid.h"

enum { GC_REFRESH_SECRET = 32, GC_REFRESH_TAG = 16 };

typedef struct gc_refresh_t {
    gc_uuid_t session;
    unsigned char secret[GC_REFRESH_SECRET], tag[GC_REFRESH_TAG];
} gc_refresh_t;

/* The first of a session, under a key that is for this use only. */
void gc_refresh_new(const gc_hash_t *key, const gc_uuid_t *session, gc_refresh_t *token);

/* The one that follows. */
void gc_refresh_next(const gc_hash_t *key, const gc_refresh_t *token, gc_refresh_t *next);

/* Whether it was made under this key. */
int gc_refresh_is_genuine(const gc_hash_t *key, const gc_refresh_t *token);

/* What is stored of it. */
void gc_refresh_hash(const gc_refresh_t *token, gc_hash_t *hash);

/* As the client has it. GC_EINPUT: it has not the form of one. */
const char *gc_refresh_text(apr_pool_t *pool, const gc_refresh_t *token);
GC_MUST_CHECK apr_status_t gc_refresh_parse(const char *text, gc_refresh_t *token);

#endif
