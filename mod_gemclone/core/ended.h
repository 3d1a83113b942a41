/* SPDX-License-Identifier: Apache-2.0
 * Which sessions have ended whose access tokens are still good by themselves.
 *
 * Every request asks, no request changes it: a table under a lock that readers share. Any thread.
 */
#ifndef GC_ENDED_H
#define GC_ENDED_H

#include <apr_time.h>

#include "uuid.h"

typedef struct gc_ended_t gc_ended_t;

/* Lives as long as the pool. */
GC_MUST_CHECK apr_status_t gc_ended_create(apr_pool_t *pool, gc_ended_t **ended);

/* A session's tokens are refused until they expire by themselves. Without memory for that the
 * process aborts, as APR's pools do: a token that goes on being good would be worse. */
void gc_ended_add(gc_ended_t *ended, const gc_uuid_t *session, apr_time_t until);

int gc_ended_has(gc_ended_t *ended, const gc_uuid_t *session);

#endif
