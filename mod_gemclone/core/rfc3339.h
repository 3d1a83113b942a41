/* SPDX-License-Identifier: Apache-2.0
 * Times as clients read them.
 */
#ifndef GC_RFC3339_H
#define GC_RFC3339_H

#include <apr_pools.h>
#include <apr_time.h>

#include "status.h"

/* "2026-11-23T04:47:37.990896Z", in the pool. */
const char *gc_rfc3339(apr_pool_t *pool, apr_time_t time);

/* When a day such as "2026-12-31" begins, in UTC. GC_EINPUT: it is none. */
GC_MUST_CHECK apr_status_t gc_rfc3339_day(const char *text, apr_time_t *begins);

#endif
