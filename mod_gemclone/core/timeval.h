/* SPDX-License-Identifier: Apache-2.0
 * APR's microseconds as what libevent and hiredis want.
 */
#ifndef GC_TIMEVAL_H
#define GC_TIMEVAL_H

#include <sys/time.h>

#include <apr_time.h>

/* A negative interval is none. */
static inline struct timeval gc_timeval(apr_interval_time_t interval)
{
    struct timeval tv = {0, 0};

    if (interval > 0) {
        tv.tv_sec = apr_time_sec(interval);
        tv.tv_usec = apr_time_usec(interval);
    }
    return tv;
}

#endif
