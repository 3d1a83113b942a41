/* SPDX-License-Identifier: Apache-2.0
 * Times as clients read them.
 */
#include "rfc3339.h"

#include <apr_strings.h>
#include <string.h>

const char *gc_rfc3339(apr_pool_t *pool, apr_time_t time)
{
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, time);
    return apr_psprintf(pool, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", t.tm_year + 1900, t.tm_mon + 1,
                        t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)t.tm_usec);
}

/* So many digits at a place. */
static int read_digits(const char *text, int count, int *number)
{
    *number = 0;
    while (count-- > 0) {
        if (*text < '0' || *text > '9') {
            return 0;
        }
        *number = 10 * *number + (*text++ - '0');
    }
    return 1;
}

apr_status_t gc_rfc3339_day(const char *text, apr_time_t *begins)
{
    apr_time_exp_t t = {0}, back;

    if (strlen(text) != strlen("2026-12-31") || text[4] != '-' || text[7] != '-'
        || !read_digits(text, 4, &t.tm_year) || !read_digits(text + 5, 2, &t.tm_mon)
        || !read_digits(text + 8, 2, &t.tm_mday)) {
        return GC_EINPUT;
    }
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    if (t.tm_mon < 0 || t.tm_mon > 11 || apr_time_exp_gmt_get(begins, &t) != APR_SUCCESS
        || apr_time_exp_gmt(&back, *begins) != APR_SUCCESS || back.tm_mday != t.tm_mday) {
        return GC_EINPUT; /* there is no 31st of that month */
    }
    return APR_SUCCESS;
}
