/* SPDX-License-Identifier: Apache-2.0
 * Doors to whatever else the server has, files or proxied applications, by the API's tokens and
 * tiers:
 *
 *   AuthType Gemclone
 *   Require gemclone-tier pro
 *
 * A door verifies the access token as the API does, without asking anybody, and puts the user down
 * (bearer.h). Who wants to know the tier asks the cache, else Postgres.
 */
#ifndef GC_DOOR_H
#define GC_DOOR_H

#include <apr_pools.h>

/* Registers the hooks and the provider. */
void gc_door_register(apr_pool_t *pool);

#endif
