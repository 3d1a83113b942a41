/* SPDX-License-Identifier: Apache-2.0
 * Durations and sizes as admins write them.
 */
#ifndef GC_UNIT_H
#define GC_UNIT_H

#include <apr_time.h>
#include "status.h"

/* "250ms", "15s", "5min", "1h", "7d"; without a unit: seconds. */
GC_MUST_CHECK apr_status_t gc_unit_duration(const char *text, apr_interval_time_t *duration);

/* "512", "256K", "16M", "1G": bytes, in powers of 1024. */
GC_MUST_CHECK apr_status_t gc_unit_size(const char *text, apr_int64_t *bytes);

/* Whole decimal digits, an optional minus, nothing else. */
GC_MUST_CHECK apr_status_t gc_unit_integer(const char *text, apr_int64_t *number);

#endif
