/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of hearing what changes in Redis, on a loop of their own.
 */
#include "store_support.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/cache.h"
#include "store/tracking.h"

#define PREFIX "gc:test:v:"

enum {
    PATIENCE_MS = 10000, /* until something that must happen has happened */
    BEAT_MS = 1000,      /* link.c's */
    BUSY_MS = 4000,      /* what a busy machine may add */
};

static apr_pool_t *pool; /* of one test; the tracker ends with it */
static struct event_base *base;
static gc_redis_options_t options;

/* --- What was heard -------------------------------------------------------- */

static struct {
    char hears[64];   /* "101": each call, in order */
    char keys[16384]; /* "key key * ": what changed, in order; "*" is all */
    int changes;
} heard;

static void changed_cb(void *baton, const char *key, apr_size_t len)
{
    size_t at = strlen(heard.keys);

    assert_ptr_equal(baton, &heard);
    assert_true(at + len + 2 < sizeof(heard.keys));
    snprintf(heard.keys + at, sizeof(heard.keys) - at, "%.*s ", key ? (int)len : 1,
             key ? key : "*");
    heard.changes++;
}

static void hears_cb(void *baton, int hears)
{
    size_t at = strlen(heard.hears);

    assert_ptr_equal(baton, &heard);
    assert_true(at + 1 < sizeof(heard.hears));
    heard.hears[at] = hears ? '1' : '0';
}

static const gc_tracking_handler_t handler = {changed_cb, hears_cb, &heard};

static gc_redis_t *redis;

static void start(void)
{
    gc_link_t *link;

    assert_int_equal(gc_redis_create(pool, &options, &redis), APR_SUCCESS);
    assert_int_equal(gc_loop_link_start(pool, base, redis, &link), APR_SUCCESS);
    gc_loop_tracking_start(pool, link, PREFIX, &handler);
}

/* --- The loop -------------------------------------------------------------- */

static void nothing_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd, (void)what, (void)baton;
}

/* One round of the loop, at most 10 ms long. */
static void turn(void)
{
    const struct timeval pause = {.tv_usec = 10000};

    event_base_once(base, -1, EV_TIMEOUT, nothing_cb, NULL, &pause);
    event_base_loop(base, EVLOOP_ONCE);
}

static void idle(int ms)
{
    apr_time_t end = apr_time_now() + MS(ms);

    while (apr_time_now() < end) {
        turn();
    }
}

static void until_hears(const char *hears)
{
    apr_time_t end = apr_time_now() + MS(PATIENCE_MS);

    while (strlen(heard.hears) < strlen(hears) && apr_time_now() < end) {
        turn();
    }
    assert_string_equal(heard.hears, hears);
}

static void until_changes(int changes)
{
    apr_time_t end = apr_time_now() + MS(PATIENCE_MS);

    while (heard.changes < changes && apr_time_now() < end) {
        turn();
    }
    assert_int_equal(heard.changes, changes);
}

/* --- Changes --------------------------------------------------------------- */

static void test_change(void **state)
{
    (void)state;
    start();
    until_hears("1");
    assert_string_equal(heard.keys, "");
    TELL("SET %s %s", PREFIX "a", "1");
    until_changes(1);
    assert_string_equal(heard.keys, PREFIX "a ");
    TELL("SET %s %s", PREFIX "b", "1");
    TELL("SET %s %s", PREFIX "b", "2");
    until_changes(3);
    TELL("DEL %s", PREFIX "a");
    until_changes(4);
    assert_string_equal(heard.keys, PREFIX "a " PREFIX "b " PREFIX "b " PREFIX "a ");
}

static void test_other_keys(void **state)
{
    (void)state;
    start();
    until_hears("1");
    TELL("SET gc:test:u:a 1");
    TELL("SET other 1");
    TELL("GET %s", PREFIX "a");
    TELL("PUBLISH __redis__ x");
    idle(100);
    assert_string_equal(heard.keys, "");
}

static void test_expiry(void **state)
{
    (void)state;
    start();
    until_hears("1");
    TELL("SET %s 1 PX 30", PREFIX "a");
    until_changes(2);
    assert_string_equal(heard.keys, PREFIX "a " PREFIX "a ");
}

static void test_flush(void **state)
{
    (void)state;
    start();
    until_hears("1");
    TELL("FLUSHALL");
    until_changes(1);
    assert_string_equal(heard.keys, "* ");
}

/* Several keys of one command come in one message. */
static void test_many_keys(void **state)
{
    char script[] = "for i = 1, 500 do redis.call('SET', KEYS[1] .. i, i) end return 1";

    (void)state;
    start();
    until_hears("1");
    TELL("EVAL %s 1 %s", script, PREFIX);
    until_changes(500);
    assert_non_null(strstr(heard.keys, PREFIX "1 "));
    assert_non_null(strstr(heard.keys, PREFIX "500 "));
}

/* Any client may publish on that channel: what it says is no message of the tracking, and does no
 * harm. */
static void test_published_junk(void **state)
{
    (void)state;
    start();
    until_hears("1");
    TELL("PUBLISH __redis__:invalidate junk");
    TELL("SET %s 1", PREFIX "a");
    idle(100);
    assert_non_null(strstr(heard.keys, PREFIX "a "));
    assert_string_equal(heard.hears, "1");
}

/* --- Losing and finding Redis ---------------------------------------------- */

static void test_killed_and_back(void **state)
{
    apr_time_t begin;

    (void)state;
    start();
    until_hears("1");
    begin = apr_time_now();
    server_stop();
    until_hears("10");
    check_elapsed(begin, 0, 3 * BEAT_MS / 2); /* at once, by the closed connection */
    server_start();
    begin = apr_time_now();
    until_hears("101");
    check_elapsed(begin, 0, 3 * BEAT_MS + BUSY_MS);
    TELL("SET %s 1", PREFIX "a");
    until_changes(1);
    assert_string_equal(heard.keys, PREFIX "a ");
}

static void test_not_there_yet(void **state)
{
    (void)state;
    server_stop();
    start();
    idle(200);
    assert_string_equal(heard.hears, "");
    server_start();
    until_hears("1");
    TELL("SET %s 1", PREFIX "a");
    until_changes(1);
}

/* It is there and does not answer: nobody may rely on hearing of changes for long. */
static void test_hangs(void **state)
{
    apr_time_t begin;

    (void)state;
    start();
    until_hears("1");
    kill(server.pid, SIGSTOP);
    begin = apr_time_now();
    until_hears("10");
    check_elapsed(begin, 0, 4 * BEAT_MS + BUSY_MS);
    kill(server.pid, SIGCONT);
    until_hears("101");
    TELL("SET %s 1", PREFIX "a");
    until_changes(1);
}

/* Either connection lost: hearing stops before anything is missed, and starts again with both. */
static void check_lost(const char *which)
{
    start();
    until_hears("1");
    TELL("CLIENT KILL TYPE %s SKIPME yes", which);
    until_hears("101");
    TELL("SET %s 1", PREFIX "a");
    until_changes(1);
}

static void test_ear_lost(void **state)
{
    (void)state;
    check_lost("pubsub");
}

static void test_voice_lost(void **state)
{
    (void)state;
    check_lost("normal");
}

/* --- Signing in ------------------------------------------------------------ */

static void test_sign_in(void **state)
{
    (void)state;
    TELL("ACL SETUSER gemclone on >other allcommands allkeys allchannels");
    TELL("CONFIG SET requirepass secret");
    options.password = "secret";
    start();
    until_hears("1");
    apr_pool_clear(pool);
    memset(&heard, 0, sizeof(heard));
    options.username = "gemclone";
    options.password = "other";
    start();
    until_hears("1");
}

static void test_sign_in_refused(void **state)
{
    (void)state;
    TELL("CONFIG SET requirepass secret");
    options.password = "wrong";
    start();
    idle(200);
    assert_string_equal(heard.hears, "");
    TELL("CONFIG SET requirepass wrong"); /* an admin mends it */
    until_hears("1");
}

/* --- A Redis that takes its time ------------------------------------------- */

/* Answers what tracking.c asks, but for what `silent` names. */
static struct {
    struct evconnlistener *listener;
    struct bufferevent *clients[16];
    int count;
    const char *silent;
} fake;

static const struct {
    const char *asked, *answer;
} answers[] = {
    {"\r\nID\r\n", ":7\r\n"},
    {"\r\nTRACKING\r\n", "+OK\r\n"},
    {"\r\nPING\r\n", "+PONG\r\n"},
    {"\r\nSUBSCRIBE\r\n", "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"},
};

static void asked_cb(struct bufferevent *client, void *baton)
{
    char text[4096];
    size_t len = bufferevent_read(client, text, sizeof(text) - 1), i;

    (void)baton;
    text[len] = '\0';
    for (i = 0; i < COUNT(answers); i++) {
        if (strstr(text, answers[i].asked)
            && !(fake.silent && strstr(answers[i].asked, fake.silent))) {
            bufferevent_write(client, answers[i].answer, strlen(answers[i].answer));
        }
    }
}

static void accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *baton)
{
    struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)listener, (void)address, (void)length, (void)baton;
    assert_true((size_t)fake.count < COUNT(fake.clients));
    fake.clients[fake.count++] = client;
    bufferevent_setcb(client, asked_cb, NULL, NULL, NULL);
    bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void fake_start(const char *silent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    server_stop();
    apr_cpystrn(address.sun_path, server.socket, sizeof(address.sun_path));
    memset(&fake, 0, sizeof(fake));
    fake.silent = silent;
    fake.listener = evconnlistener_new_bind(base, accept_cb, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
                                            (struct sockaddr *)&address, sizeof(address));
    assert_non_null(fake.listener);
}

static void fake_stop(void)
{
    while (fake.count > 0) {
        bufferevent_free(fake.clients[--fake.count]);
    }
    if (fake.listener) {
        evconnlistener_free(fake.listener);
    }
    memset(&fake, 0, sizeof(fake));
}

/* While the ear has not subscribed, what the voice asks for goes nowhere: that is not hearing yet.
 */
static void check_silent(const char *command, const char *hears)
{
    fake_start(command);
    start();
    idle(300);
    assert_string_equal(heard.hears, hears);
}

static void test_all_answered(void **state)
{
    (void)state;
    check_silent(NULL, "1");
}

static void test_not_subscribed_yet(void **state)
{
    (void)state;
    check_silent("SUBSCRIBE", "");
}

static void test_not_tracking_yet(void **state)
{
    (void)state;
    check_silent("TRACKING", "");
}

static void test_no_id_yet(void **state)
{
    (void)state;
    check_silent("ID", "");
}

/* --- With the cache -------------------------------------------------------- */

static void cache_changed_cb(void *baton, const char *key, apr_size_t len)
{
    gc_loop_cache_changed(baton, key, len);
    changed_cb(&heard, key, len);
}

static void cache_hears_cb(void *baton, int hears)
{
    gc_loop_cache_hears(baton, hears);
    hears_cb(&heard, hears);
}

static gc_cache_t *create_cache(gc_cache_shared_t *segment)
{
    gc_cache_options_t o = {.shared = segment,
                            .prefix = "gc:test:",
                            .ttl = apr_time_from_sec(60),
                            .near_bytes = 1024 * 1024};
    gc_cache_t *cache;

    assert_int_equal(gc_redis_create(pool, &options, &o.redis), APR_SUCCESS);
    assert_int_equal(gc_cache_create(pool, &o, &cache), APR_SUCCESS);
    return cache;
}

static int finds(gc_cache_t *cache, const gc_uuid_t *user, const char *body)
{
    gc_cache_slot_t slot;
    const char *found;
    apr_size_t len;

    if (gc_cache_get(cache, pool, GC_CACHE_USER, user, &found, &len, &slot)) {
        assert_int_equal(len, strlen(body));
        assert_memory_equal(found, body, len);
        return 1;
    }
    gc_cache_put(cache, pool, &slot, body, strlen(body));
    return 0;
}

/* A port of the loopback that nobody has. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* The loop looks it up, and tells the threads that may block where Redis is. */
static void test_host_by_name(void **state)
{
    gc_redis_t *nowhere;

    (void)state;
    options.path = NULL;
    options.host = "localhost";
    options.port = free_port();
    TELL("CONFIG SET port %d", options.port);
    start();
    assert_int_equal(gc_redis_ping(redis, pool), APR_EGENERAL); /* it does not know yet */
    until_hears("1");
    assert_int_equal(gc_redis_ping(redis, pool), APR_SUCCESS);
    TELL("SET " PREFIX "a 1");
    assert_int_equal(gc_redis_create(pool, &options, &nowhere), APR_SUCCESS);
    assert_int_equal(gc_redis_ping(nowhere, pool), APR_EGENERAL);
    check_logged("");
}

/* Another host's change makes this host's near copy void; and so does losing Redis. */
static void test_cache_of_another_host(void **state)
{
    static const gc_uuid_t user = {{42}};
    gc_cache_shared_t *segments[] = {calloc(1, GC_CACHE_SHARED), calloc(1, GC_CACHE_SHARED)};
    gc_cache_t *here = create_cache(segments[0]), *away = create_cache(segments[1]);
    const gc_tracking_handler_t to_cache = {cache_changed_cb, cache_hears_cb, here};
    gc_link_t *link;
    const char *prefix = gc_cache_version_prefix(here, pool);

    (void)state;
    assert_int_equal(gc_redis_create(pool, &options, &redis), APR_SUCCESS);
    assert_int_equal(gc_loop_link_start(pool, base, redis, &link), APR_SUCCESS);
    gc_loop_tracking_start(pool, link, prefix, &to_cache);
    until_hears("1");
    assert_false(finds(here, &user, "old")); /* that made a version */
    until_changes(1);
    assert_true(finds(here, &user, "old"));
    TELL("DEL gc:test:u:%s", gc_uuid_text(pool, &user));
    assert_true(finds(here, &user, "old")); /* near */
    gc_cache_forget(away, pool, &user);
    until_changes(2);
    assert_false(finds(here, &user, "new"));
    assert_true(finds(here, &user, "new"));
    server_stop();
    until_hears("10");
    assert_false(finds(here, &user, "new"));
    apr_pool_clear(pool);
    free(segments[0]);
    free(segments[1]);
}

/* --- The frame ------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    server_clean();
    forget_logged();
    memset(&heard, 0, sizeof(heard));
    base = event_base_new();
    options = (gc_redis_options_t){.path = server.socket,
                                   .timeout = MS(2000),
                                   .connect_timeout = MS(2000),
                                   .connections = 8,
                                   .log = &log_sink};
    return apr_pool_create(&pool, NULL);
}

/* Ends the tracker, which says that it hears no more, and must leave nothing on the loop. */
static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    assert_null(strstr(heard.hears, "11"));
    assert_null(strstr(heard.hears, "00"));
    assert_true(heard.hears[0] == '\0' || heard.hears[strlen(heard.hears) - 1] == '0');
    fake_stop();
    turn();
    event_base_free(base);
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

#define TRACKING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRACKING_TEST(test_change),
        TRACKING_TEST(test_other_keys),
        TRACKING_TEST(test_expiry),
        TRACKING_TEST(test_flush),
        TRACKING_TEST(test_many_keys),
        TRACKING_TEST(test_published_junk),
        TRACKING_TEST(test_killed_and_back),
        TRACKING_TEST(test_not_there_yet),
        TRACKING_TEST(test_hangs),
        TRACKING_TEST(test_ear_lost),
        TRACKING_TEST(test_voice_lost),
        TRACKING_TEST(test_sign_in),
        TRACKING_TEST(test_sign_in_refused),
        TRACKING_TEST(test_all_answered),
        TRACKING_TEST(test_not_subscribed_yet),
        TRACKING_TEST(test_not_tracking_yet),
        TRACKING_TEST(test_no_id_yet),
        TRACKING_TEST(test_host_by_name),
        TRACKING_TEST(test_cache_of_another_host),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
