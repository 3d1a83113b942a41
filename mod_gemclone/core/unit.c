/* SPDX-License-Identifier: Apache-2.0
 * Durations and sizes as admins write them.
 */
#include "unit.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *name;
    apr_int64_t factor;
} unit_t;

static const unit_t durations[] = {
    {"", APR_USEC_PER_SEC},
    {"ms", 1000},
    {"s", APR_USEC_PER_SEC},
    {"min", 60 * APR_USEC_PER_SEC},
    {"h", 3600 * (apr_int64_t)APR_USEC_PER_SEC},
    {"d", 86400 * (apr_int64_t)APR_USEC_PER_SEC},
    {NULL, 0},
};

static const unit_t sizes[] = {
    {"", 1}, {"K", 1024}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0},
};

static const unit_t numbers[] = {{"", 1}, {NULL, 0}};

/* At most 18 digits: what apr_atoi64 reads without overflow. */
static apr_status_t parse(const char *text, const unit_t *units, apr_int64_t *value)
{
    int negative = *text == '-';
    const char *digits = text + negative;
    const char *end = digits;
    apr_int64_t number;

    while (apr_isdigit(*end)) {
        end++;
    }
    if (end == digits || end - digits > 18) {
        return GC_EINPUT;
    }
    number = apr_atoi64(text);
    for (; units->name; units++) {
        if (strcasecmp(end, units->name) == 0) {
            if (number > APR_INT64_MAX / units->factor || number < APR_INT64_MIN / units->factor) {
                return GC_EINPUT;
            }
            *value = number * units->factor;
            return APR_SUCCESS;
        }
    }
    return GC_EINPUT;
}

apr_status_t gc_unit_duration(const char *text, apr_interval_time_t *duration)
{
    return *text == '-' ? GC_EINPUT : parse(text, durations, duration);
}

apr_status_t gc_unit_size(const char *text, apr_int64_t *bytes)
{
    return *text == '-' ? GC_EINPUT : parse(text, sizes, bytes);
}

apr_status_t gc_unit_integer(const char *text, apr_int64_t *number)
{
    return parse(text, numbers, number);
}
