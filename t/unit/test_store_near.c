/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of a child's own copies.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>

#include "store/near.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SHARDS = 16, /* by the id's last byte: what follows mostly keeps to one of them */
    THREADS = 8,
    ROUNDS = 20000,
    USERS = 64,
};

#define BYTES ((apr_size_t)1024 * 1024)

static gc_near_t *near;

static gc_near_key_t key_of(int user, int kind, apr_uint64_t stamp)
{
    gc_near_key_t key = {.kind = kind, .stamp = stamp};

    key.user.bytes[13] = (unsigned char)(user >> 8);
    key.user.bytes[14] = (unsigned char)user;
    return key;
}

static void put_until(gc_near_key_t key, const char *body, apr_time_t expires)
{
    gc_near_put(near, &key, body, strlen(body), expires);
}

static void put(gc_near_key_t key, const char *body)
{
    put_until(key, body, apr_time_now() + apr_time_from_sec(60));
}

/* The body, or NULL. */
static const char *get(gc_near_key_t key)
{
    const char *body = "untouched";
    apr_size_t len = 4711;

    if (!gc_near_get(near, pool, &key, &body, &len)) {
        assert_string_equal(body, "untouched");
        assert_int_equal(len, 4711);
        return NULL;
    }
    assert_int_equal(strlen(body), len);
    return body;
}

static void create(apr_size_t bytes)
{
    assert_int_equal(gc_near_create(pool, bytes, NULL, &near), APR_SUCCESS);
}

/* --- What is found --------------------------------------------------------- */

static void test_hit(void **state)
{
    const char *body;

    (void)state;
    create(BYTES);
    assert_null(get(key_of(1, 0, 7)));
    put(key_of(1, 0, 7), "{\"a\":1}");
    body = get(key_of(1, 0, 7));
    assert_string_equal(body, "{\"a\":1}");
    assert_ptr_not_equal(get(key_of(1, 0, 7)), body); /* a copy each */
}

static void test_what_differs_is_another(void **state)
{
    gc_near_key_t other;
    int i;

    (void)state;
    create(BYTES);
    put(key_of(1, 0, 7), "one");
    assert_null(get(key_of(1, 1, 7)));
    assert_null(get(key_of(2, 0, 7)));
    for (i = 0; i < 16; i++) {
        other = key_of(1, 0, 7);
        other.user.bytes[i] ^= 0x80;
        assert_null(get(other));
    }
    put(key_of(1, 1, 7), "other kind");
    assert_string_equal(get(key_of(1, 0, 7)), "one");
    assert_string_equal(get(key_of(1, 1, 7)), "other kind");
}

static void test_stamp(void **state)
{
    static const apr_uint64_t stamps[] = {0, 6, 8, UINT64_C(1) << 32 | 7, UINT64_MAX};
    size_t i;

    (void)state;
    create(BYTES);
    put(key_of(1, 0, 7), "one");
    for (i = 0; i < COUNT(stamps); i++) {
        assert_null(get(key_of(1, 0, stamps[i])));
    }
    assert_string_equal(get(key_of(1, 0, 7)), "one");
}

static void test_replacement(void **state)
{
    (void)state;
    create(BYTES);
    put(key_of(1, 0, 7), "one");
    put(key_of(1, 0, 8), "a longer one");
    assert_null(get(key_of(1, 0, 7)));
    assert_string_equal(get(key_of(1, 0, 8)), "a longer one");
    put(key_of(1, 0, 8), "");
    assert_string_equal(get(key_of(1, 0, 8)), "");
}

static void test_expiry(void **state)
{
    (void)state;
    create(BYTES);
    put_until(key_of(1, 0, 7), "past", apr_time_now() - 1);
    assert_null(get(key_of(1, 0, 7)));
    put_until(key_of(1, 0, 7), "soon", apr_time_now() + apr_time_from_msec(30));
    put_until(key_of(2, 0, 7), "later", apr_time_now() + apr_time_from_sec(60));
    assert_string_equal(get(key_of(1, 0, 7)), "soon");
    apr_sleep(apr_time_from_msec(40));
    assert_null(get(key_of(1, 0, 7)));
    assert_string_equal(get(key_of(2, 0, 7)), "later");
}

/* --- Bounds ---------------------------------------------------------------- */

static const char *body_of(int len, char c)
{
    char *body = apr_palloc(pool, (apr_size_t)len + 1);

    memset(body, c, (apr_size_t)len);
    body[len] = '\0';
    return body;
}

/* What was used last stays, whether it was put or got. */
static void test_least_recently_used(void **state)
{
    enum { BODY = 900, ENTRIES = 10 }; /* ten of these fit into a shard, eleven do not */
    int i;

    (void)state;
    create((apr_size_t)SHARDS * 10500);
    for (i = 0; i < ENTRIES; i++) {
        put(key_of(i, 0, 7), body_of(BODY, (char)('a' + i)));
    }
    for (i = 0; i < ENTRIES; i++) {
        assert_non_null(get(key_of(i, 0, 7)));
    }
    assert_non_null(get(key_of(0, 0, 7)));
    put(key_of(2, 0, 7), body_of(BODY, 'x'));
    /* In the order of their use: 1 3 4 5 6 7 8 9 0 2. */
    put(key_of(10, 0, 7), body_of(BODY, 'k'));
    put(key_of(11, 0, 7), body_of(BODY, 'l'));
    assert_null(get(key_of(1, 0, 7)));
    assert_null(get(key_of(3, 0, 7)));
    for (i = 4; i < 12; i++) {
        assert_non_null(get(key_of(i, 0, 7)));
    }
    assert_non_null(get(key_of(0, 0, 7)));
    assert_string_equal(get(key_of(2, 0, 7)), body_of(BODY, 'x'));
}

/* Nobody's entry makes room for one that is out of proportion. */
static void test_huge_body(void **state)
{
    (void)state;
    create((apr_size_t)SHARDS * 8000);
    put(key_of(1, 0, 7), "one");
    put(key_of(2, 0, 7), body_of(1001, 'x'));
    put(key_of(3, 0, 7), body_of(100000, 'x'));
    assert_null(get(key_of(2, 0, 7)));
    assert_null(get(key_of(3, 0, 7)));
    assert_string_equal(get(key_of(1, 0, 7)), "one");
    put(key_of(2, 0, 7), body_of(1000, 'y'));
    assert_string_equal(get(key_of(2, 0, 7)), body_of(1000, 'y'));
}

/* Far more than there is room for: whatever is found is right, and something is. */
static void test_many(void **state)
{
    enum { MANY = 50000 };
    int i, found = 0;

    (void)state;
    create(BYTES);
    for (i = 0; i < MANY; i++) {
        gc_near_key_t key = key_of(i, i % 3, (apr_uint64_t)i);

        key.user.bytes[15] = (unsigned char)i;
        put(key, apr_psprintf(pool, "body of %d", i));
    }
    for (i = 0; i < MANY; i++) {
        gc_near_key_t key = key_of(i, i % 3, (apr_uint64_t)i);
        const char *body;

        key.user.bytes[15] = (unsigned char)i;
        if ((body = get(key))) {
            assert_string_equal(body, apr_psprintf(pool, "body of %d", i));
            found++;
        }
    }
    assert_in_range(found, 1000, BYTES / (sizeof(gc_near_key_t) + strlen("body of 0")));
}

/* So little room that not even the head of an entry fits: nothing is kept, nothing breaks. */
static void test_no_room(void **state)
{
    static const apr_size_t sizes[] = {0, 1, SHARDS, SHARDS * 16, SHARDS * 64, SHARDS * 100};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < COUNT(sizes); i++) {
        create(sizes[i]);
        for (k = 0; k < 3; k++) {
            put(key_of(k, 0, 7), "");
            put(key_of(k, 0, 7), "[]");
            put(key_of(k, 0, 7), body_of(50, 'x'));
        }
    }
}

/* --- Many threads ---------------------------------------------------------- */

/* Bodies tell their user and stamp, as often as their length allows. */
static const char *told(char *text, apr_size_t size, int user, apr_uint64_t stamp)
{
    int len = apr_snprintf(text, size, "%d/%d;", user, (int)stamp), end = (user + 1) * len;

    while (len < end && len < (int)size - 32) {
        len += apr_snprintf(text + len, size - (apr_size_t)len, "%d/%d;", user, (int)stamp);
    }
    return text;
}

typedef struct {
    int seed, hits, wrong;
} hammer_t;

static void *hammer_thread(void *baton)
{
    hammer_t *hammer = baton;
    unsigned random = (unsigned)hammer->seed;
    char expected[1024];
    apr_pool_t *own;
    int i;

    apr_pool_create(&own, NULL);
    for (i = 0; i < ROUNDS; i++) {
        int user;
        gc_near_key_t key;
        const char *body;
        apr_size_t len;

        random = random * 1103515245 + 12345;
        user = (int)(random >> 16) % USERS;
        key = key_of(user, 0, 1 + (random >> 24) % 3);
        key.user.bytes[15] = (unsigned char)user;
        told(expected, sizeof(expected), user, key.stamp);
        if (i % 3 == 0) {
            gc_near_put(near, &key, expected, strlen(expected),
                        apr_time_now() + apr_time_from_sec(60));
        } else if (gc_near_get(near, own, &key, &body, &len)) {
            hammer->hits++;
            hammer->wrong += len != strlen(expected) || memcmp(body, expected, len) != 0;
        }
        if (i % 1000 == 0) {
            apr_pool_clear(own);
        }
    }
    apr_pool_destroy(own);
    return NULL;
}

/* Room for some of the users only, so that entries come and go all the time. */
static void test_hammer(void **state)
{
    hammer_t hammers[THREADS];
    pthread_t threads[THREADS];
    int i;

    (void)state;
    create((apr_size_t)SHARDS * 4000);
    for (i = 0; i < THREADS; i++) {
        hammers[i] = (hammer_t){.seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_thread, &hammers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(hammers[i].wrong, 0);
        assert_true(hammers[i].hits > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_hit),       FRAMED_TEST(test_what_differs_is_another),
        FRAMED_TEST(test_stamp),     FRAMED_TEST(test_replacement),
        FRAMED_TEST(test_expiry),    FRAMED_TEST(test_least_recently_used),
        FRAMED_TEST(test_huge_body), FRAMED_TEST(test_many),
        FRAMED_TEST(test_no_room),   FRAMED_TEST(test_hammer),
    };

    return RUN_FRAMED(tests);
}
