/* SPDX-License-Identifier: Apache-2.0
 * What the tests of store/ share: a Redis of their own.
 *
 * The server is the one of package redis-tools, on a Unix socket in a new directory; it dies with
 * the test at the latest. Without that program the tests fail.
 */
#ifndef GC_STORE_SUPPORT_H
#define GC_STORE_SUPPORT_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "log_support.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS(n) apr_time_from_msec(n)

/* --- Time ------------------------------------------------------------------ */

/* For tests whose other clock is in their hand. */
static inline apr_time_t real_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

/* Sanitizers and a busy machine are slow; what must not happen takes longer by far. */
static inline void check_elapsed(apr_time_t begin, int least_ms, int most_ms)
{
    int ms = (int)((real_now() - begin) / 1000);

    if (ms < least_ms || ms > most_ms) {
        fail_msg("it took %d ms, but %d to %d expected", ms, least_ms, most_ms);
    }
}

/* --- Redis ----------------------------------------------------------------- */

static struct {
    char dir[64];
    char socket[96];
    pid_t pid;
    redisContext *client; /* a connection that nobody else uses */
} server;

static inline redisContext *server_connect(void)
{
    static const struct timeval patience = {.tv_sec = 30};
    redisContext *client = redisConnectUnix(server.socket);

    if (client && (client->err || redisSetTimeout(client, patience) != REDIS_OK)) {
        redisFree(client);
        client = NULL;
    }
    return client;
}

/* Another client's command; its answer, which must not be an error, goes to `answer` as text. */
static inline void ask(char *answer, size_t size, const char *format, ...)
{
    redisReply *reply;
    va_list args;

    va_start(args, format);
    reply = redisvCommand(server.client, format, args);
    va_end(args);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s: %s", format, reply->str);
    }
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(answer, size, "%lld", reply->integer);
    } else {
        snprintf(answer, size, "%s", reply->str ? reply->str : "nil");
    }
    freeReplyObject(reply);
}

#define TELL(...)                                                                                  \
    do {                                                                                           \
        char told_[256];                                                                           \
        ask(told_, sizeof(told_), __VA_ARGS__);                                                    \
    } while (0)

static inline int server_answers(void)
{
    redisReply *reply;

    if (!server.client && !(server.client = server_connect())) {
        return 0;
    }
    reply = redisCommand(server.client, "PING");
    if (reply) {
        freeReplyObject(reply);
    }
    return reply != NULL;
}

/* redis-check-rdb is redis-server by another name, without the service that comes with that one. */
static inline void server_start(void)
{
    int tries;

    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-check-rdb", "redis-server", "--port", "0", "--unixsocket", server.socket,
               "--dir", server.dir, "--save", "", "--appendonly", "no", "--loglevel", "warning",
               "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
    for (tries = 0; tries < 1000 && !server_answers(); tries++) {
        assert_int_equal(waitpid(server.pid, NULL, WNOHANG), 0); /* is the program there? */
        apr_sleep(MS(5));
    }
    assert_non_null(server.client);
}

static inline void server_stop(void)
{
    if (server.client) {
        redisFree(server.client);
        server.client = NULL;
    }
    if (server.pid > 0) {
        kill(server.pid, SIGKILL);
        waitpid(server.pid, NULL, 0);
        server.pid = 0;
    }
    unlink(server.socket);
}

/* As it was when it was started. */
static inline void server_clean(void)
{
    if (!server.pid) {
        server_start();
    }
    kill(server.pid, SIGCONT); /* a test that failed may have left it so */
    TELL("CONFIG SET maxmemory 0");
    TELL("CONFIG SET requirepass %s", "");
    TELL("CLIENT UNPAUSE");
    TELL("FLUSHALL");
}

static inline int support_begin(void)
{
    const char *tmp = getenv("TMPDIR");

    signal(SIGPIPE, SIG_IGN); /* as httpd does */
    snprintf(server.dir, sizeof(server.dir), "%s/gemclone-XXXXXX",
             tmp && strlen(tmp) < 40 ? tmp : "/tmp"); /* paths of sockets are short */
    if (apr_initialize() != APR_SUCCESS || !mkdtemp(server.dir)) {
        return -1;
    }
    snprintf(server.socket, sizeof(server.socket), "%s/redis.sock", server.dir);
    return 0;
}

static inline int support_end(void)
{
    server_stop();
    rmdir(server.dir);
    apr_terminate();
    return 0;
}

#endif
