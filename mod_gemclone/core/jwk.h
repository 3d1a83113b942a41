/* SPDX-License-Identifier: Apache-2.0
 * Asymmetric keys of access tokens, as others get to see them: JSON Web Keys (RFC 7517, RFC 7518).
 * OpenSSL is here only.
 */
#ifndef GC_JWK_H
#define GC_JWK_H

#include <apr_pools.h>
#include <jansson.h>

#include "status.h"

/* Holds a private key in PEM against its algorithm: RS256 (RSA of 2048 bits at least) or ES256 (the
 * curve P-256). What is wrong with it, or NULL. */
const char *gc_jwk_check(const char *algorithm, const unsigned char *pem, apr_size_t len);

/* Of a key that passed: its public half in PEM, in the pool. APR_ENOMEM. */
GC_MUST_CHECK apr_status_t gc_jwk_public(apr_pool_t *pool, const unsigned char *pem, apr_size_t len,
                                         const char **text);

/* Of a public half: the JSON Web Key, or NULL without memory. */
json_t *gc_jwk_json(apr_pool_t *pool, const char *kid, const char *algorithm, const char *pem);

#endif
