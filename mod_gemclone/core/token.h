/* SPDX-License-Identifier: Apache-2.0
 * Access tokens: JSON Web Tokens (RFC 7519), signed with HS256, RS256 or ES256 (RFC 7518).
 */
#ifndef GC_TOKEN_H
#define GC_TOKEN_H

#include <apr_tables.h>
#include <apr_time.h>
#include "uuid.h"

/* No token of ours comes near it; longer ones are refused unread. */
#define GC_TOKEN_MAX 2048

/* Key length that HS256 asks for (RFC 7518, 3.2), in bytes. */
#define GC_TOKEN_KEY_MIN 32

typedef struct gc_token_key_t {
    const char *kid;
    const char *algorithm;       /* "HS256", "RS256" or "ES256" */
    const unsigned char *secret; /* the key, or a private key in PEM */
    apr_size_t len;
    const char *public_pem; /* its public half; NULL with HS256 */
} gc_token_key_t;

/* The keys of a site. The first signs; all verify, so that a key can be rolled:
 * put the new one behind, then in front, then take the old one away. */
typedef struct gc_token_ring_t {
    const char *issuer;
    apr_array_header_t *keys; /* of gc_token_key_t */
} gc_token_ring_t;

typedef enum {
    GC_TOKEN_ACCESS, /* all that a user may do */
    GC_TOKEN_RESET   /* change-password, nothing else */
} gc_token_scope_e;

typedef struct gc_token_t {
    gc_uuid_t user, session;
    gc_token_scope_e scope;
    apr_time_t issued, expires; /* whole seconds */
} gc_token_t;

/* The signed token, in the pool. APR_EGENERAL: libjwt has no memory. */
GC_MUST_CHECK apr_status_t gc_token_sign(apr_pool_t *pool, const gc_token_ring_t *ring,
                                         const gc_token_t *token, const char **text);

/* Verifies signature, algorithm, issuer and times. The algorithm is the key's, whatever the token
 * says; kid only chooses among our keys. GC_EINPUT: not a good token, for a reason that is nobody's
 * business. */
GC_MUST_CHECK apr_status_t gc_token_verify(apr_pool_t *pool, const gc_token_ring_t *ring,
                                           const char *text, apr_time_t now, gc_token_t *token);

#endif
