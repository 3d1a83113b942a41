/* SPDX-License-Identifier: Apache-2.0
 * Times as clients read them.
 */
#ifndef GC_RFC3339_H
#define GC_RFC3339_H

#include <apr_pools.h>
#include <apr_time.h>

/* "2026-11-23T04:47:37.990896Z", in the pool. */
const char *gc_rfc3339(apr_pool_t *pool, apr_time_t time);

#endif
