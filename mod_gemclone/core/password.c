/* SPDX-License-Identifier: Apache-2.0
 * Passwords, as Argon2id hashes.
 */
#include "password.h"

#include <sodium.h>
#include <string.h>

apr_status_t gc_password_hash(apr_pool_t *pool, const gc_password_cost_t *cost,
                              const char *password, const char **hash)
{
    char *text = apr_pcalloc(pool, crypto_pwhash_STRBYTES);

    *hash = text;
    return crypto_pwhash_str_alg(text, password, strlen(password), cost->passes, cost->memory,
                                 crypto_pwhash_ALG_ARGON2ID13)
                   == 0
               ? APR_SUCCESS
               : APR_ENOMEM;
}

/* As much work as a try at a hash of today's cost. */
static void waste(const gc_password_cost_t *cost, const char *password)
{
    static const unsigned char salt[crypto_pwhash_SALTBYTES];
    unsigned char out[32];

    (void)!crypto_pwhash(out, sizeof(out), password, strlen(password), salt, cost->passes,
                         cost->memory, crypto_pwhash_ALG_ARGON2ID13);
}

int gc_password_is(const gc_password_cost_t *cost, const char *hash, const char *password)
{
    if (!hash) {
        waste(cost, password);
        return 0;
    }
    return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}

int gc_password_is_outdated(const gc_password_cost_t *cost, const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, cost->passes, cost->memory) != 0;
}
