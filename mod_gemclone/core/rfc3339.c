/* SPDX-License-Identifier: Apache-2.0
 * Times as clients read them.
 */
#include "rfc3339.h"

#include <apr_strings.h>

const char *gc_rfc3339(apr_pool_t *pool, apr_time_t time)
{
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, time);
    return apr_psprintf(pool, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", t.tm_year + 1900, t.tm_mon + 1,
                        t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)t.tm_usec);
}
