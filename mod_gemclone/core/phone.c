/* SPDX-License-Identifier: Apache-2.0
 * Phone numbers: what clients write, and E.164.
 */
#include "phone.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

enum { MIN_DIGITS = 7, MAX_DIGITS = 15 };

apr_status_t gc_phone_e164(apr_pool_t *pool, const char *number, const char *country_code,
                           const char **e164)
{
    char digits[MAX_DIGITS + 2];
    size_t len = 0;
    const char *p = number;

    digits[len++] = '+';
    if (*p == '+') {
        p++;
    } else {
        for (country_code++; *country_code && len <= MAX_DIGITS; country_code++) {
            digits[len++] = *country_code;
        }
    }
    for (; *p; p++) {
        if (strchr(" -.()", *p)) {
            continue;
        }
        if (!apr_isdigit(*p) || len > MAX_DIGITS) {
            return GC_EINPUT;
        }
        digits[len++] = *p;
    }
    if (len < MIN_DIGITS + 1 || digits[1] == '0') {
        return GC_EINPUT;
    }
    *e164 = apr_pstrmemdup(pool, digits, len);
    return APR_SUCCESS;
}

const char *gc_phone_masked(apr_pool_t *pool, const char *e164)
{
    char *masked = apr_pstrdup(pool, e164);
    size_t len = strlen(masked);

    if (len > 5) {
        memset(masked + 3, '*', len - 5);
    }
    return masked;
}
