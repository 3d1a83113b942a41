/* SPDX-License-Identifier: Apache-2.0
 * How long to wait before another try.
 */
#ifndef GC_PAUSE_H
#define GC_PAUSE_H

#include <apr_time.h>

/* The first pause, doubled for each try after the first, to at most the longest. */
static inline apr_interval_time_t gc_pause_after(int tries, apr_interval_time_t first,
                                                 apr_interval_time_t longest)
{
    apr_interval_time_t pause = first;

    while (--tries > 0 && pause < longest) {
        pause *= 2;
    }
    return pause < longest ? pause : longest;
}

#endif
