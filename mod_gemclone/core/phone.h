/* SPDX-License-Identifier: Apache-2.0
 * Phone numbers: what clients write, and E.164.
 */
#ifndef GC_PHONE_H
#define GC_PHONE_H

#include <apr_pools.h>
#include "status.h"

/* Writes number as E.164 ("+" and 7 to 15 digits, the first not 0) into the
 * pool. One without "+" gets country_code ("+1") in front. Blanks, dashes, dots
 * and parentheses between digits are left out. GC_EINPUT: not a number. */
GC_MUST_CHECK apr_status_t gc_phone_e164(apr_pool_t *pool, const char *number,
                                         const char *country_code, const char **e164);

/* The number with all but its first 3 and last 2 characters hidden: for logs. */
const char *gc_phone_masked(apr_pool_t *pool, const char *e164);

#endif
