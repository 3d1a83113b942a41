/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the cache: two children of a host that share a segment, another host, and a real
 * Redis.
 */
#include "store_support.h"

#include "store/cache.h"

#define PREFIX "gc:test:"
#define TTL MS(1500)

enum { NEAR_BYTES = 1024 * 1024, REDIS_TIMEOUT_MS = 400, READERS = 4, WRITERS = 2, USERS = 8 };

static apr_pool_t *pool; /* of one test */
static gc_cache_shared_t *segments[2];
static gc_cache_t *here, *sibling; /* two children of this host */
static gc_cache_t *away;           /* a child of another one */

static const gc_uuid_t user = {
    {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7, 8}};
static const gc_uuid_t other = {
    {0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 1, 2, 3, 4, 5, 6, 7, 8}};

/* --- Caches ---------------------------------------------------------------- */

static gc_cache_t *create(gc_cache_shared_t *segment)
{
    const gc_redis_options_t redis_options = {.path = server.socket,
                                              .timeout = MS(REDIS_TIMEOUT_MS),
                                              .connect_timeout = MS(REDIS_TIMEOUT_MS),
                                              .connections = READERS + WRITERS,
                                              .log = &log_sink};
    gc_cache_options_t options = {
        .shared = segment, .prefix = PREFIX, .ttl = TTL, .near_bytes = NEAR_BYTES};
    gc_cache_t *cache;

    assert_int_equal(gc_redis_create(pool, &redis_options, &options.redis), APR_SUCCESS);
    assert_int_equal(gc_cache_create(pool, &options, &cache), APR_SUCCESS);
    return cache;
}

/* The body, or NULL; the slot may be NULL. */
static const char *get_kind(gc_cache_t *cache, gc_cache_kind_e kind, const gc_uuid_t *who,
                            gc_cache_slot_t *slot)
{
    gc_cache_slot_t ignored;
    const char *body;
    apr_size_t len;

    return gc_cache_get(cache, pool, kind, who, &body, &len, slot ? slot : &ignored)
               ? apr_pstrmemdup(pool, body, len)
               : NULL;
}

static const char *get(gc_cache_t *cache)
{
    return get_kind(cache, GC_CACHE_USER, &user, NULL);
}

static void put(gc_cache_t *cache, const gc_cache_slot_t *slot, const char *body)
{
    gc_cache_put(cache, pool, slot, body, strlen(body));
}

/* As a handler does: looks, makes the answer where there is none, and keeps it. */
static void fill_kind(gc_cache_t *cache, gc_cache_kind_e kind, const gc_uuid_t *who,
                      const char *body)
{
    gc_cache_slot_t slot;

    assert_null(get_kind(cache, kind, who, &slot));
    put(cache, &slot, body);
}

static void fill(gc_cache_t *cache, const char *body)
{
    fill_kind(cache, GC_CACHE_USER, &user, body);
}

static void forget(gc_cache_t *cache)
{
    gc_cache_forget(cache, pool, &user);
}

static void check(gc_cache_t *cache, const char *body)
{
    const char *found = get(cache);

    assert_string_equal(found ? found : "nothing", body ? body : "nothing");
}

/* The user's version in Redis. */
static const char *version(void)
{
    char text[64];

    ask(text, sizeof(text), "GET %sv:%s", PREFIX, gc_uuid_text(pool, &user));
    return apr_pstrdup(pool, text);
}

/* What the tracker reports when somebody has changed the user's version. */
static void hear_change(gc_cache_t *cache)
{
    const char *key = apr_pstrcat(pool, PREFIX, "v:", gc_uuid_text(pool, &user), NULL);

    gc_loop_cache_changed(cache, key, strlen(key));
}

/* --- In Redis -------------------------------------------------------------- */

static void test_miss_put_hit(void **state)
{
    (void)state;
    fill(here, "{\"a\":1}");
    check(here, "{\"a\":1}");
    check(sibling, "{\"a\":1}");
    check(away, "{\"a\":1}");
    check_logged("");
}

static void test_kinds_and_users(void **state)
{
    (void)state;
    fill(here, "user");
    fill_kind(here, GC_CACHE_CHATROOMS, &user, "rooms");
    fill_kind(sibling, GC_CACHE_USER, &other, "other user");
    check(here, "user");
    assert_string_equal(get_kind(here, GC_CACHE_CHATROOMS, &user, NULL), "rooms");
    assert_string_equal(get_kind(here, GC_CACHE_USER, &other, NULL), "other user");
    forget(here);
    check(here, NULL);
    assert_null(get_kind(here, GC_CACHE_CHATROOMS, &user, NULL));
    assert_string_equal(get_kind(here, GC_CACHE_USER, &other, NULL), "other user");
}

static void test_keys(void **state)
{
    char text[64];
    const char *id = gc_uuid_text(pool, &user);

    (void)state;
    assert_string_equal(gc_cache_version_prefix(here, pool), PREFIX "v:");
    fill(here, "body");
    assert_int_equal(strspn(version(), "0123456789abcdef"), 16);
    assert_int_equal(strlen(version()), 16);
    ask(text, sizeof(text), "GET %su:%s", PREFIX, id);
    assert_string_equal(text, apr_pstrcat(pool, version(), "body", NULL));
    ask(text, sizeof(text), "PTTL %su:%s", PREFIX, id);
    assert_in_range(atoi(text), 1000, 1500);
    ask(text, sizeof(text), "PTTL %sv:%s", PREFIX, id);
    assert_in_range(atoi(text), 86390000, 86400000);
    ask(text, sizeof(text), "DBSIZE");
    assert_string_equal(text, "2");
}

static void test_bytes(void **state)
{
    static const char bytes[] = {'a', '\0', 'b', '\xFF'};
    gc_cache_slot_t slot;
    const char *body;
    char *copy = malloc(sizeof(bytes)); /* no NUL behind it */
    apr_size_t len;

    (void)state;
    assert_non_null(copy);
    memcpy(copy, bytes, sizeof(bytes));
    assert_null(get_kind(here, GC_CACHE_USER, &user, &slot));
    gc_cache_put(here, pool, &slot, copy, sizeof(bytes));
    free(copy);
    assert_true(gc_cache_get(sibling, pool, GC_CACHE_USER, &user, &body, &len, &slot));
    assert_int_equal(len, sizeof(bytes));
    assert_memory_equal(body, bytes, sizeof(bytes));
}

static void test_empty_body(void **state)
{
    (void)state;
    fill(here, "");
    check(here, "");
    check(sibling, "");
}

/* What somebody else has put under our keys is not served, and breaks nothing. */
static void test_junk_in_redis(void **state)
{
    static const char *const junk[] = {"", "x", "0123456789abcde", "0123456789abcdef",
                                       "0123456789abcdefbody"};
    const char *id = gc_uuid_text(pool, &user);
    gc_cache_slot_t slot;
    size_t i;

    (void)state;
    fill(here, "body");
    for (i = 0; i < COUNT(junk); i++) {
        TELL("SET %su:%s %s", PREFIX, id, junk[i]);
        check(here, NULL);
    }
    for (i = 0; i < 3; i++) {
        TELL("SET %sv:%s %s", PREFIX, id, junk[i]);
        assert_null(get_kind(here, GC_CACHE_USER, &user, &slot));
        put(here, &slot, "body");
        check(here, NULL);
    }
    TELL("DEL %sv:%s", PREFIX, id);
    TELL("LPUSH %sv:%s x", PREFIX, id);
    assert_null(get_kind(here, GC_CACHE_USER, &user, &slot));
    put(here, &slot, "body");
    check(here, NULL);
}

static void test_expiry(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    fill(here, "body");
    check(here, "body");
    check(sibling, "body");
    apr_sleep(TTL + MS(50));
    check(here, NULL);
    check(sibling, NULL);
}

/* --- Changes --------------------------------------------------------------- */

static void check_forget(gc_cache_t *writer)
{
    fill(here, "old");
    check(here, "old");
    check(sibling, "old");
    forget(writer);
    check(here, NULL);
    check(sibling, NULL);
    check(away, NULL);
    fill(here, "new");
    check(sibling, "new");
    check(away, "new");
    forget(here);
}

static void test_forget(void **state)
{
    (void)state;
    check_forget(here);
    check_forget(sibling);
    check_forget(away);
    /* With near copies, in every child of the writer's host at once. */
    gc_loop_cache_hears(here, 1);
    gc_loop_cache_hears(sibling, 1);
    check_forget(here);
    check_forget(sibling);
}

static void test_forget_nothing(void **state)
{
    const char *before;

    (void)state;
    forget(here);
    before = version();
    forget(here);
    assert_string_not_equal(version(), before);
    check(here, NULL);
}

/* An answer that was made before a change and is put after it: void, wherever the change was. */
static void check_race(gc_cache_t *reader, gc_cache_t *writer)
{
    gc_cache_slot_t slot;

    forget(reader);
    assert_null(get_kind(reader, GC_CACHE_USER, &user, &slot));
    forget(writer);
    put(reader, &slot, "old");
    if (reader == away) {
        hear_change(away);
    }
    check(here, NULL);
    check(sibling, NULL);
    check(away, NULL);
    /* Nor does it stand in the way of the next. */
    fill(reader, "new");
    check(reader, "new");
}

static void test_race(void **state)
{
    int hears;

    (void)state;
    for (hears = 0; hears < 2; hears++) {
        gc_loop_cache_hears(here, hears);
        gc_loop_cache_hears(sibling, hears);
        gc_loop_cache_hears(away, hears);
        check_race(here, here);
        check_race(here, sibling);
        check_race(away, here);
    }
}

/* The same, where there was no version before: both make one. */
static void test_race_for_the_first_version(void **state)
{
    gc_cache_slot_t slots[2];

    (void)state;
    assert_null(get_kind(here, GC_CACHE_USER, &user, &slots[0]));
    assert_null(get_kind(away, GC_CACHE_USER, &user, &slots[1]));
    assert_string_equal(slots[0].version, slots[1].version);
    put(here, &slots[0], "one");
    check(away, "one");
    put(away, &slots[1], "two");
    check(here, "two");
}

static void *forget_thread(void *baton)
{
    apr_pool_t *own;

    apr_pool_create(&own, NULL);
    gc_cache_forget(baton, own, &user);
    apr_pool_destroy(own);
    return NULL;
}

/* Somebody reads while a change is on its way to Redis, which takes so long. The old answer is good
 * for them, and for nobody who asks when the change is announced. */
static void check_read_during_forget(int pause_ms)
{
    pthread_t thread;

    fill(here, "old");
    TELL("CLIENT PAUSE %d WRITE", pause_ms);
    assert_int_equal(pthread_create(&thread, NULL, forget_thread, here), 0);
    apr_sleep(MS(40));
    get(here);
    get(sibling);
    pthread_join(thread, NULL);
    check(here, NULL);
    check(sibling, NULL);
}

static void test_read_during_forget(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    check_read_during_forget(REDIS_TIMEOUT_MS / 2);
}

/* The same, and the change does not get there in time. */
static void test_read_during_failing_forget(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    check_read_during_forget(3 * REDIS_TIMEOUT_MS);
}

/* --- Near copies ----------------------------------------------------------- */

static void test_near(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    fill(here, "body");
    TELL("FLUSHALL");
    check(here, "body"); /* its own */
    check(sibling, NULL);
    gc_loop_cache_changed(here, PREFIX "v:short", sizeof(PREFIX "v:short") - 1);
    gc_loop_cache_changed(here, "", 0);
    gc_loop_cache_changed(here, "0123456789abcdef0123456789abcdef0123", 36);
    check(here, "body");
    hear_change(here);
    check(here, NULL);
}

/* What was found in Redis is kept near, too. */
static void test_near_after_far(void **state)
{
    (void)state;
    gc_loop_cache_hears(sibling, 1);
    fill(here, "body");
    check(sibling, "body");
    TELL("FLUSHALL");
    check(sibling, "body");
    check(here, NULL);
}

/* A change of a user's moves the counter for all children of the host. */
static void test_change_is_heard_for_siblings(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    fill(here, "body");
    TELL("FLUSHALL");
    check(here, "body");
    hear_change(sibling);
    check(here, NULL);
}

static void test_any_may_have_changed(void **state)
{
    (void)state;
    gc_loop_cache_hears(here, 1);
    fill(here, "body");
    fill_kind(here, GC_CACHE_CHATROOMS, &other, "rooms");
    TELL("FLUSHALL");
    check(here, "body");
    gc_loop_cache_changed(here, NULL, 0);
    check(here, NULL);
    assert_null(get_kind(here, GC_CACHE_CHATROOMS, &other, NULL));
    fill(here, "new");
    TELL("FLUSHALL");
    check(here, "new");
}

/* While changes are not heard of nothing is near, and what was is no good later. */
static void test_hears_off(void **state)
{
    int rounds;

    (void)state;
    for (rounds = 0; rounds < 3; rounds++) {
        fill(here, "body");
        TELL("FLUSHALL");
        check(here, NULL);
        gc_loop_cache_hears(here, 1);
        fill(here, "body");
        TELL("FLUSHALL");
        check(here, "body");
        gc_loop_cache_hears(here, 0);
        gc_loop_cache_hears(here, 0);
        check(here, NULL);
        gc_loop_cache_hears(here, 1);
        check(here, NULL);
        gc_loop_cache_hears(here, 0);
    }
}

/* --- Without Redis --------------------------------------------------------- */

static void test_none(void **state)
{
    gc_cache_options_t none = {
        .shared = segments[0], .prefix = PREFIX, .ttl = TTL, .near_bytes = NEAR_BYTES};
    gc_cache_t *cache;
    gc_cache_slot_t slot;

    (void)state;
    assert_int_equal(gc_cache_create(pool, &none, &cache), APR_SUCCESS);
    gc_loop_cache_hears(cache, 1);
    assert_null(get_kind(cache, GC_CACHE_USER, &user, &slot));
    put(cache, &slot, "body");
    check(cache, NULL);
    forget(cache);
    gc_loop_cache_changed(cache, NULL, 0);
}

static void test_redis_killed(void **state)
{
    apr_time_t begin;
    gc_cache_slot_t slot;
    int i;

    (void)state;
    fill(here, "body");
    server_stop();
    begin = apr_time_now();
    for (i = 0; i < 20; i++) {
        assert_null(get_kind(here, GC_CACHE_USER, &user, &slot));
        put(here, &slot, "body");
        forget(here);
        forget(sibling);
    }
    check_elapsed(begin, 0, 4 * REDIS_TIMEOUT_MS);
}

/* --- Distrust -------------------------------------------------------------- */

/* A change that Redis was not told of: what lies there is not served by any child of this host,
 * until all of it is over its time. */
static void test_distrust(void **state)
{
    apr_time_t begin;
    gc_cache_slot_t slot;

    (void)state;
    fill(here, "old");
    TELL("CONFIG SET maxmemory 1"); /* Redis reads, and refuses to write */
    begin = apr_time_now();
    forget(here);
    TELL("CONFIG SET maxmemory 0");
    check(away, "old"); /* it is still there */
    while (apr_time_now() < begin + TTL - MS(20)) {
        assert_null(get_kind(sibling, GC_CACHE_USER, &user, &slot));
        put(sibling, &slot, "new");
        check(here, NULL);
        apr_sleep(MS(10));
    }
    apr_sleep(MS(50));
    check(sibling, NULL);
    fill(sibling, "new");
    check(sibling, "new");
    check(here, "new");
    check(away, "new");
}

/* --- Many threads ---------------------------------------------------------- */

/* The truth: a number that only grows, per user. What somebody was told is `announced`: nobody of
 * this host may be served less from then on. */
static struct {
    int truth[USERS], announced[USERS];
    int ends;
    pthread_mutex_t mutexes[USERS]; /* a user's changes come one after the other */
} world;

typedef struct {
    gc_cache_t *cache;
    int seed, hits, stale, changes;
} actor_t;

static gc_uuid_t user_of(int number)
{
    gc_uuid_t who = {{0}};

    who.bytes[0] = (unsigned char)number;
    who.bytes[15] = (unsigned char)number;
    return who;
}

static void read_one(actor_t *actor, apr_pool_t *own, int number)
{
    const gc_uuid_t who = user_of(number);
    const int least = __atomic_load_n(&world.announced[number], __ATOMIC_SEQ_CST);
    gc_cache_slot_t slot;
    const char *body;
    apr_size_t len;

    if (gc_cache_get(actor->cache, own, GC_CACHE_USER, &who, &body, &len, &slot)) {
        actor->hits++;
        actor->stale += atoi(apr_pstrmemdup(own, body, len)) < least;
    } else {
        body = apr_psprintf(own, "%d", __atomic_load_n(&world.truth[number], __ATOMIC_SEQ_CST));
        gc_cache_put(actor->cache, own, &slot, body, strlen(body));
    }
}

static void change_one(actor_t *actor, apr_pool_t *own, int number)
{
    const gc_uuid_t who = user_of(number);
    int truth;

    pthread_mutex_lock(&world.mutexes[number]);
    truth = __atomic_add_fetch(&world.truth[number], 1, __ATOMIC_SEQ_CST);
    gc_cache_forget(actor->cache, own, &who);
    __atomic_store_n(&world.announced[number], truth, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&world.mutexes[number]);
    actor->changes++;
    apr_sleep(1000);
}

static void *act(actor_t *actor, void (*one)(actor_t *, apr_pool_t *, int))
{
    unsigned random = (unsigned)actor->seed;
    apr_pool_t *own;

    apr_pool_create(&own, NULL);
    while (!__atomic_load_n(&world.ends, __ATOMIC_SEQ_CST)) {
        random = random * 1103515245 + 12345;
        one(actor, own, (int)(random >> 16) % USERS);
        apr_pool_clear(own);
    }
    apr_pool_destroy(own);
    return NULL;
}

static void *reader_thread(void *baton)
{
    return act(baton, read_one);
}

static void *writer_thread(void *baton)
{
    return act(baton, change_one);
}

/* Nobody ever sees what was true before a change that was announced: in two children that read and
 * write, while one of them now hears of changes and now does not. */
static void test_never_stale(void **state)
{
    actor_t actors[READERS + WRITERS];
    pthread_t threads[READERS + WRITERS];
    int i, hits = 0, stale = 0;

    (void)state;
    memset(&world, 0, sizeof(world));
    for (i = 0; i < USERS; i++) {
        pthread_mutex_init(&world.mutexes[i], NULL);
    }
    gc_loop_cache_hears(here, 1);
    for (i = 0; i < READERS + WRITERS; i++) {
        actors[i] = (actor_t){.cache = i % 2 ? sibling : here, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < READERS ? reader_thread : writer_thread, &actors[i]),
                         0);
    }
    for (i = 0; i < 50; i++) {
        apr_sleep(MS(20));
        gc_loop_cache_hears(sibling, i % 2);
        hear_change(sibling);
    }
    __atomic_store_n(&world.ends, 1, __ATOMIC_SEQ_CST);
    for (i = 0; i < READERS + WRITERS; i++) {
        pthread_join(threads[i], NULL);
        stale += actors[i].stale;
        hits += actors[i].hits;
    }
    assert_int_equal(stale, 0);
    assert_in_range(hits, 100, INT32_MAX);
    assert_in_range(actors[READERS].changes, 10, INT32_MAX);
}

/* --- The frame ------------------------------------------------------------- */

static int setup(void **state)
{
    int i;

    (void)state;
    server_clean();
    forget_logged();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < 2; i++) {
        segments[i] = calloc(1, GC_CACHE_SHARED);
        assert_non_null(segments[i]);
    }
    here = create(segments[0]);
    sibling = create(segments[0]);
    away = create(segments[1]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    free(segments[0]);
    free(segments[1]);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    return support_begin();
}

static int group_teardown(void **state)
{
    (void)state;
    return support_end();
}

#define CACHE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_miss_put_hit),
        CACHE_TEST(test_kinds_and_users),
        CACHE_TEST(test_keys),
        CACHE_TEST(test_bytes),
        CACHE_TEST(test_empty_body),
        CACHE_TEST(test_junk_in_redis),
        CACHE_TEST(test_expiry),
        CACHE_TEST(test_forget),
        CACHE_TEST(test_forget_nothing),
        CACHE_TEST(test_race),
        CACHE_TEST(test_race_for_the_first_version),
        CACHE_TEST(test_read_during_forget),
        CACHE_TEST(test_read_during_failing_forget),
        CACHE_TEST(test_near),
        CACHE_TEST(test_near_after_far),
        CACHE_TEST(test_change_is_heard_for_siblings),
        CACHE_TEST(test_any_may_have_changed),
        CACHE_TEST(test_hears_off),
        CACHE_TEST(test_none),
        CACHE_TEST(test_redis_killed),
        CACHE_TEST(test_distrust),
        CACHE_TEST(test_never_stale),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
