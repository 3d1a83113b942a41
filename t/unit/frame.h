/* SPDX-License-Identifier: Apache-2.0
 * The frame of unit tests: a pool for each, APR and libsodium for all of them. Include it after
 * cmocka.h. A file whose tests begin with more than that defines FRAME_OWN_SETUP before, and a
 * setup.
 */
#ifndef T_UNIT_FRAME_H
#define T_UNIT_FRAME_H

#include <apr_general.h>
#include <apr_pools.h>
#include <sodium.h>

static apr_pool_t *pool; /* of one test */

#ifndef FRAME_OWN_SETUP
static int setup(void **state)
{
    (void)state;
    return apr_pool_create(&pool, NULL) == APR_SUCCESS ? 0 : -1;
}
#endif

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    return apr_initialize() == APR_SUCCESS && sodium_init() >= 0 ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    apr_terminate();
    return 0;
}

#define FRAMED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define RUN_FRAMED(tests)                                                                          \
    (cmocka_set_message_output(CM_OUTPUT_TAP),                                                     \
     cmocka_run_group_tests(tests, group_setup, group_teardown))

#endif
