/* SPDX-License-Identifier: Apache-2.0
 * A clock in the test's hand, for pauses that need not be waited for and are not over too early on
 * a busy machine. A test that includes this is linked with --wrap=apr_time_now (see Makefile.am):
 * what it calls of ours looks at this clock. Poll, condition variables and the like do not.
 */
#ifndef T_UNIT_CLOCK_H
#define T_UNIT_CLOCK_H

#include <apr_time.h>

/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*) */
__attribute__((visibility("default"))) apr_time_t __wrap_apr_time_now(void);
apr_time_t __real_apr_time_now(void);

static apr_time_t clock_time; /* atomic; 0: that of the world */

/* Of two looks at it the second is later by a microsecond. */
apr_time_t __wrap_apr_time_now(void)
{
    return __atomic_load_n(&clock_time, __ATOMIC_RELAXED)
               ? __atomic_fetch_add(&clock_time, 1, __ATOMIC_RELAXED)
               : __real_apr_time_now();
}

/* From now on time stands still, but for what follows. */
static inline void clock_stop(void)
{
    __atomic_store_n(&clock_time, __real_apr_time_now(), __ATOMIC_RELAXED);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*) */

static inline void clock_advance(apr_interval_time_t time)
{
    __atomic_fetch_add(&clock_time, time, __ATOMIC_RELAXED);
}

/* It is as everywhere again. */
static inline void clock_go(void)
{
    __atomic_store_n(&clock_time, 0, __ATOMIC_RELAXED);
}

#endif
