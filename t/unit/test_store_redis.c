/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the Redis client, against a real one and against servers that misbehave.
 */
#include "clock.h"
#include "store_support.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/redis.h"

enum {
    PATIENT_MS = 60000, /* where time is no matter */
    TIMEOUT_MS = 500,
    CONNECT_MS = 100,
    SLOW_MS = 20000, /* what a busy machine may add to anything */
    CALLERS = 6,
};

static apr_pool_t *pool; /* of one test */
static gc_redis_options_t options;
static gc_redis_t *redis;

static void create(void)
{
    assert_int_equal(gc_redis_create(pool, &options, &redis), APR_SUCCESS);
}

static apr_status_t set(const char *key, const char *data)
{
    return gc_redis_set(redis, pool, key, data, strlen(data), apr_time_from_sec(60), 0);
}

/* The values of two keys, as "<a> <b>", where nil is none. */
static const char *get(const char *a, const char *b)
{
    const char *const keys[] = {a, b};
    gc_redis_value_t values[2];

    if (gc_redis_get2(redis, pool, keys, values) != APR_SUCCESS) {
        return "failed";
    }
    return apr_psprintf(pool, "%s %s", values[0].data ? values[0].data : "nil",
                        values[1].data ? values[1].data : "nil");
}

static void until_it_tries_again(void)
{
    clock_advance(apr_time_from_sec(1));
}

/* --- Addresses ------------------------------------------------------------- */

static void test_url(void **state)
{
    static const struct {
        const char *url, *host, *path;
        int port, database;
    } cases[] = {
        {"redis://localhost", "localhost", NULL, 6379, 0},
        {"redis://localhost/", "localhost", NULL, 6379, 0},
        {"redis://localhost:6380", "localhost", NULL, 6380, 0},
        {"redis://127.0.0.1:6380/3", "127.0.0.1", NULL, 6380, 3},
        {"REDIS://cache.example/15", "cache.example", NULL, 6379, 15},
        {"redis://[::1]:6380/1", "::1", NULL, 6380, 1},
        {"redis://h:65535/65535", "h", NULL, 65535, 65535},
        {"unix:/run/redis.sock", NULL, "/run/redis.sock", 0, 0},
        {"UNIX:/a b", NULL, "/a b", 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_redis_options_t o = {0};

        assert_int_equal(gc_redis_url_parse(pool, cases[i].url, &o), APR_SUCCESS);
        assert_string_equal(o.host ? o.host : "none", cases[i].host ? cases[i].host : "none");
        assert_string_equal(o.path ? o.path : "none", cases[i].path ? cases[i].path : "none");
        assert_int_equal(o.port, cases[i].port);
        assert_int_equal(o.database, cases[i].database);
    }
}

static void test_url_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "redis",
        "redis:",
        "redis://",
        "redis:///1",
        "redis:/run/redis.sock",
        "localhost",
        "localhost:6379",
        "rediss://localhost",
        "http://localhost",
        "unix:",
        "unix:redis.sock",
        "redis://localhost/x",
        "redis://localhost/1x",
        "redis://localhost/1/2",
        "redis://localhost/-1",
        "redis://localhost/65536",
        "redis://localhost/99999999999999999999",
        "redis://localhost?db=1",
        "redis://localhost/1?x",
        "redis://localhost#x",
        /* A password does not belong into what is logged. */
        "redis://user@localhost",
        "redis://user:secret@localhost",
        "redis://:secret@localhost",
        /* Ports that there are not. */
        "redis://localhost:x",
        "redis://localhost:63790x",
        "redis://localhost:65536",
        "redis://localhost:99999",
        "redis://localhost:-1",
    };
    int accepted = 0;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(urls); i++) {
        gc_redis_options_t o = {0};

        if (gc_redis_url_parse(pool, urls[i], &o) != GC_EINPUT) {
            print_error("accepted \"%s\" as host \"%s\", port %d, database %d\n", urls[i], o.host,
                        o.port, o.database);
            accepted++;
        }
    }
    assert_int_equal(accepted, 0);
}

/* --- Commands -------------------------------------------------------------- */

static void test_set_and_get(void **state)
{
    (void)state;
    create();
    assert_int_equal(gc_redis_ping(redis, pool), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "nil nil");
    assert_int_equal(set("a", "one"), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "one nil");
    assert_int_equal(set("b", ""), APR_SUCCESS);
    assert_int_equal(set("a", "two"), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "two ");
    assert_string_equal(get("a", "a"), "two two");
    check_logged("");
}

static void test_any_bytes(void **state)
{
    static const char bytes[] = "a\0b\r\n$3\r\n\xFF\x80";
    const char *const keys[] = {"key with blanks %s\r\n", "none"};
    char *big = apr_palloc(pool, 1000000);
    gc_redis_value_t values[2];

    (void)state;
    create();
    assert_int_equal(gc_redis_set(redis, pool, keys[0], bytes, sizeof(bytes), MS(60000), 0),
                     APR_SUCCESS);
    assert_int_equal(gc_redis_get2(redis, pool, keys, values), APR_SUCCESS);
    assert_int_equal(values[0].len, sizeof(bytes));
    assert_memory_equal(values[0].data, bytes, sizeof(bytes));
    assert_null(values[1].data);
    assert_int_equal(values[1].len, 0);
    memset(big, 'x', 1000000);
    assert_int_equal(gc_redis_set(redis, pool, keys[0], big, 1000000, MS(60000), 0), APR_SUCCESS);
    assert_int_equal(gc_redis_get2(redis, pool, keys, values), APR_SUCCESS);
    assert_int_equal(values[0].len, 1000000);
    assert_memory_equal(values[0].data, big, 1000000);
}

static void test_only_new(void **state)
{
    (void)state;
    create();
    assert_int_equal(gc_redis_set(redis, pool, "a", "one", 3, MS(60000), 1), APR_SUCCESS);
    assert_int_equal(gc_redis_set(redis, pool, "a", "two", 3, MS(60000), 1), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "one nil");
}

static void test_ttl(void **state)
{
    char ttl[32];

    (void)state;
    create();
    assert_int_equal(gc_redis_set(redis, pool, "a", "one", 3, MS(50), 0), APR_SUCCESS);
    assert_int_equal(gc_redis_set(redis, pool, "b", "two", 3, apr_time_from_sec(86400), 0),
                     APR_SUCCESS);
    ask(ttl, sizeof(ttl), "PTTL b");
    assert_in_range(atoi(ttl), 86390000, 86400000);
    apr_sleep(MS(60));
    assert_string_equal(get("a", "b"), "nil two");
}

/* What lies in the wrong kind of key is nothing of ours. */
static void test_wrong_kind(void **state)
{
    (void)state;
    create();
    TELL("LPUSH a x");
    assert_int_equal(set("b", "two"), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "nil two");
}

/* --- Signing in ------------------------------------------------------------ */

static void test_database(void **state)
{
    char value[32];

    (void)state;
    options.database = 3;
    create();
    assert_int_equal(set("a", "one"), APR_SUCCESS);
    ask(value, sizeof(value), "GET a");
    assert_string_equal(value, "nil");
    TELL("SELECT 3");
    ask(value, sizeof(value), "GET a");
    TELL("SELECT 0");
    assert_string_equal(value, "one");
}

static void check_sign_in(const char *username, const char *password, int database, apr_status_t rv)
{
    options.username = username;
    options.password = password;
    options.database = database;
    create();
    assert_int_equal(gc_redis_ping(redis, pool), rv);
    check_logged(rv == APR_SUCCESS ? "" : "GEM0301 ");
}

static void test_sign_in(void **state)
{
    (void)state;
    TELL("ACL SETUSER gemclone on >other allcommands allkeys");
    TELL("CONFIG SET requirepass secret");
    check_sign_in(NULL, "secret", 0, APR_SUCCESS);
    check_sign_in("default", "secret", 0, APR_SUCCESS);
    check_sign_in("gemclone", "other", 0, APR_SUCCESS);
    check_sign_in(NULL, NULL, 0, APR_EGENERAL);
    check_sign_in(NULL, "wrong", 0, APR_EGENERAL);
    check_sign_in("gemclone", "secret", 0, APR_EGENERAL);
    check_sign_in("nobody", "other", 0, APR_EGENERAL);
    check_sign_in(NULL, "secret", 99, APR_EGENERAL);
}

/* --- Servers that misbehave ------------------------------------------------ */

/* Listens in place of the real one, which must not run; nobody accepts. */
static int listen_only(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    server_stop();
    apr_cpystrn(address.sun_path, server.socket, sizeof(address.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

/* How many have connected since. */
static int count_connections(int fd)
{
    int count = 0, client;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((client = accept(fd, NULL, NULL)) >= 0) {
        close(client);
        count++;
    }
    return count;
}

static void test_nobody_there(void **state)
{
    apr_time_t begin = real_now();
    int i;

    (void)state;
    server_stop();
    create();
    for (i = 0; i < 10; i++) {
        assert_int_equal(set("a", "one"), APR_EGENERAL);
        assert_string_equal(get("a", "b"), "failed");
        assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL);
    }
    check_elapsed(begin, 0, SLOW_MS);
    check_logged("GEM0301 "); /* once */
}

/* One call waits its time; the others do not wait at all for a second. */
static void test_no_answer(void **state)
{
    int fd = listen_only();
    apr_time_t begin;

    (void)state;
    options.timeout = MS(TIMEOUT_MS);
    create();
    begin = real_now();
    assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL);
    check_elapsed(begin, TIMEOUT_MS - 10, TIMEOUT_MS + SLOW_MS);
    assert_int_equal(set("a", "one"), APR_EGENERAL);
    assert_string_equal(get("a", "b"), "failed");
    assert_int_equal(count_connections(fd), 1);
    check_logged("GEM0301 ");
    close(fd);
}

/* An address that nothing answers from. */
static void test_no_connection(void **state)
{
    apr_time_t begin;

    (void)state;
    options.path = NULL;
    options.host = "192.0.2.1"; /* TEST-NET-1: nobody is there */
    options.port = 6379;
    options.connect_timeout = MS(CONNECT_MS);
    create();
    begin = real_now();
    assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL);
    check_elapsed(begin, 0, CONNECT_MS + SLOW_MS);
}

static int drip_fd;

/* Promises a long answer to the first who asks, and sends a byte of it now and then. */
static void *drip_thread(void *baton)
{
    int client = accept(drip_fd, NULL, NULL), i;
    char request[256];

    (void)baton;
    if (client >= 0 && read(client, request, sizeof(request)) > 0
        && write(client, "$1000\r\n", 7) == 7) {
        for (i = 0; i < 2 * SLOW_MS / 100 && send(client, "x", 1, MSG_NOSIGNAL) == 1; i++) {
            apr_sleep(MS(100));
        }
    }
    close(client);
    return NULL;
}

/* The bound is one command's, however the answer trickles in. */
static void test_dripping_answer(void **state)
{
    pthread_t thread;
    apr_time_t begin;

    (void)state;
    drip_fd = listen_only();
    assert_int_equal(pthread_create(&thread, NULL, drip_thread, NULL), 0);
    clock_go();
    options.timeout = MS(TIMEOUT_MS);
    create();
    begin = real_now();
    assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL);
    check_elapsed(begin, TIMEOUT_MS - 10, TIMEOUT_MS + SLOW_MS);
    apr_pool_clear(pool); /* hangs up */
    close(drip_fd);
    pthread_join(thread, NULL);
}

/* An answer that came too late is not taken for another call's. */
static void test_late_answer(void **state)
{
    (void)state;
    options.timeout = MS(TIMEOUT_MS);
    create();
    assert_int_equal(set("a", "one"), APR_SUCCESS);
    assert_int_equal(set("b", "two"), APR_SUCCESS);
    TELL("CLIENT PAUSE %d ALL", 2 * TIMEOUT_MS);
    assert_string_equal(get("a", "a"), "failed");
    TELL("PING"); /* is answered when the pause is over */
    until_it_tries_again();
    assert_string_equal(get("b", "none"), "two nil");
    check_logged("GEM0301 GEM0302 ");
}

/* An error is a failure like any other: out of memory, at its most likely. The only connection
 * there may be is not lost by it. */
static void test_error_reply(void **state)
{
    (void)state;
    options.connections = 1;
    create();
    assert_int_equal(set("a", "one"), APR_SUCCESS);
    TELL("CONFIG SET maxmemory 1");
    assert_int_equal(set("a", "two"), APR_EGENERAL);
    check_logged("GEM0301 ");
    TELL("CONFIG SET maxmemory 0");
    assert_string_equal(get("a", "b"), "failed"); /* for a second, no matter what */
    until_it_tries_again();
    assert_string_equal(get("a", "b"), "one nil");
    check_logged("GEM0302 ");
}

/* --- The end of a server and its return ------------------------------------- */

static void test_restart(void **state)
{
    (void)state;
    create();
    assert_int_equal(set("a", "one"), APR_SUCCESS);
    server_stop();
    assert_string_equal(get("a", "b"), "failed");
    check_logged("GEM0301 ");
    server_start();
    assert_string_equal(get("a", "b"), "failed"); /* nobody has looked yet */
    until_it_tries_again();
    assert_string_equal(get("a", "b"), "nil nil");
    assert_int_equal(set("a", "two"), APR_SUCCESS);
    assert_string_equal(get("a", "b"), "two nil");
    check_logged("GEM0302 ");
}

/* --- Many callers ---------------------------------------------------------- */

typedef struct {
    pthread_t thread;
    int rounds;
    int good, failed, wrong;
} caller_t;

static int ended_callers; /* atomic */

static void *caller_thread(void *baton)
{
    caller_t *caller = baton;
    const char *key, *keys[2];
    gc_redis_value_t values[2];
    apr_pool_t *own;
    int i;

    apr_pool_create(&own, NULL);
    key = apr_psprintf(own, "key-%p", baton);
    for (i = 0; i < caller->rounds; i++) {
        apr_status_t rv = gc_redis_set(redis, own, key, key, strlen(key), MS(60000), 0);

        keys[0] = keys[1] = key;
        if (rv == APR_SUCCESS && (rv = gc_redis_get2(redis, own, keys, values)) == APR_SUCCESS) {
            caller->wrong +=
                values[0].len != strlen(key) || memcmp(values[1].data, key, strlen(key)) != 0;
        }
        caller->good += rv == APR_SUCCESS;
        caller->failed += rv != APR_SUCCESS;
        if (rv != APR_SUCCESS) {
            apr_sleep(MS(1)); /* what a caller does without takes it longer */
        }
    }
    apr_pool_destroy(own);
    __atomic_fetch_add(&ended_callers, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void start_callers(caller_t callers[CALLERS], int rounds)
{
    int i;

    memset(callers, 0, CALLERS * sizeof(*callers));
    __atomic_store_n(&ended_callers, 0, __ATOMIC_SEQ_CST);
    for (i = 0; i < CALLERS; i++) {
        callers[i].rounds = rounds;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_thread, &callers[i]), 0);
    }
}

/* Whether no more than so many are still waiting, soon. */
static void until_others_end(int waiting)
{
    int tries;

    for (tries = 0; tries < SLOW_MS / 10; tries++) {
        if (__atomic_load_n(&ended_callers, __ATOMIC_SEQ_CST) >= CALLERS - waiting) {
            return;
        }
        apr_sleep(MS(10));
    }
}

static void join_callers(caller_t callers[CALLERS])
{
    int i;

    for (i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
}

static void run_callers(caller_t callers[CALLERS], int rounds)
{
    start_callers(callers, rounds);
    join_callers(callers);
}

/* Those that have connected to the real one, but for the test's own. */
static int count_clients(void)
{
    char list[16384];
    const char *at = list;
    int count = -1;

    ask(list, sizeof(list), "CLIENT LIST TYPE normal");
    for (; *at; at++) {
        count += *at == '\n';
    }
    return count;
}

static void test_callers(void **state)
{
    caller_t callers[CALLERS];
    int i, good = 0;

    (void)state;
    options.connections = CALLERS;
    create();
    run_callers(callers, 200);
    for (i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].good, 200);
    }
    assert_in_range(count_clients(), 1, CALLERS);

    options.connections = 2;
    create();
    run_callers(callers, 200);
    for (i = 0; i < CALLERS; i++) {
        good += callers[i].good;
    }
    assert_in_range(good, 200, CALLERS * 200);
    check_logged(""); /* that all are busy is no failure of Redis */
    apr_pool_clear(pool);
    for (i = 0; i < 100 && count_clients() > 0; i++) {
        apr_sleep(MS(50)); /* Redis notices in its own time */
    }
    assert_int_equal(count_clients(), 0);
}

/* All call once; so many of them wait until they are hung up on, and the others are told before. */
static void check_waiting(int fd, int waiting)
{
    caller_t callers[CALLERS];
    int i, ended;

    start_callers(callers, 1);
    until_others_end(waiting);
    ended = __atomic_load_n(&ended_callers, __ATOMIC_SEQ_CST);
    assert_int_equal(count_connections(fd), waiting);
    join_callers(callers);
    assert_int_equal(ended, CALLERS - waiting);
    for (i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].failed, 1);
    }
}

/* As many wait as there are connections; the others are told at once. */
static void test_bound_of_connections(void **state)
{
    int fd = listen_only();

    (void)state;
    options.connections = 2;
    create();
    check_waiting(fd, 2);
    close(fd);
}

/* After a failure one looks whether it is back, and the others go without. */
static void test_one_looks(void **state)
{
    int fd;

    (void)state;
    server_stop();
    create();
    assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL);
    fd = listen_only();
    until_it_tries_again();
    check_waiting(fd, 1);
    check_logged("GEM0301 ");
    close(fd);
}

/* --- The frame ------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    server_clean();
    forget_logged();
    clock_stop();
    options = (gc_redis_options_t){.path = server.socket,
                                   .timeout = MS(PATIENT_MS),
                                   .connect_timeout = MS(PATIENT_MS),
                                   .connections = 8,
                                   .log = &log_sink};
    return apr_pool_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
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

#define REDIS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS_TEST(test_url),
        REDIS_TEST(test_url_refused),
        REDIS_TEST(test_set_and_get),
        REDIS_TEST(test_any_bytes),
        REDIS_TEST(test_only_new),
        REDIS_TEST(test_ttl),
        REDIS_TEST(test_wrong_kind),
        REDIS_TEST(test_database),
        REDIS_TEST(test_sign_in),
        REDIS_TEST(test_nobody_there),
        REDIS_TEST(test_no_answer),
        REDIS_TEST(test_no_connection),
        REDIS_TEST(test_dripping_answer),
        REDIS_TEST(test_late_answer),
        REDIS_TEST(test_error_reply),
        REDIS_TEST(test_restart),
        REDIS_TEST(test_callers),
        REDIS_TEST(test_bound_of_connections),
        REDIS_TEST(test_one_looks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
