/* SPDX-License-Identifier: Apache-2.0
 * What may be done so often in a while, and no oftener.
 */
#include "limit.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <string.h>

#define MINUTES(n) apr_time_from_sec((n)*60)
#define HOURS(n) MINUTES((n)*60)

static const struct {
    const char *name;
    gc_limit_t limit;
} limits[GC_LIMITS] = {
    [GC_LIMIT_SIGNUP_ADDRESS] = {"signup-address", {50, HOURS(1)}},
    [GC_LIMIT_SIGN_IN_ADDRESS] = {"sign-in-address", {100, MINUTES(15)}},
    [GC_LIMIT_OTP_TRY] = {"otp-try", {5, MINUTES(15)}},
    [GC_LIMIT_PASSWORD] = {"password", {10, MINUTES(15)}},
    [GC_LIMIT_OTP_ADDRESS] = {"otp-address", {50, HOURS(1)}},
    [GC_LIMIT_OTP_NUMBER] = {"otp-number", {10, HOURS(24)}},
    [GC_LIMIT_OTP_COOLDOWN] = {"otp-cooldown", {1, apr_time_from_sec(30)}},
    [GC_LIMIT_OTP_BUDGET] = {"otp-budget", {10000, HOURS(24)}},
};

const char *gc_limit_name(gc_limit_e kind)
{
    return limits[kind].name;
}

gc_limit_e gc_limit_of(const char *name)
{
    gc_limit_e kind = 0;

    while (kind < GC_LIMITS && strcmp(limits[kind].name, name) != 0) {
        kind++;
    }
    return kind;
}

gc_limit_t gc_limit_default(gc_limit_e kind)
{
    return limits[kind].limit;
}

const char *gc_limit_address(apr_pool_t *pool, const char *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr in;

    if (inet_pton(AF_INET6, address, &in) != 1) {
        return address;
    }
    if (IN6_IS_ADDR_V4MAPPED(&in)) {
        return inet_ntop(AF_INET, in.s6_addr + 12, text, sizeof(text)) ? apr_pstrdup(pool, text)
                                                                       : address;
    }
    memset(in.s6_addr + 8, 0, 8);
    return inet_ntop(AF_INET6, &in, text, sizeof(text)) ? apr_pstrcat(pool, text, "/64", NULL)
                                                        : address;
}
