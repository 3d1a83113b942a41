/* SPDX-License-Identifier: Apache-2.0
 * Hears from Redis which keys have changed.
 */
#include "tracking.h"

#include <apr_strings.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>

/* Redis is asked so often whether it is there, and must answer before the next time. */
static const struct timeval beat = {.tv_sec = 1};

/* The two connections of an attempt. They are closed together. */
enum { EAR, VOICE, CONNECTIONS };

struct gc_tracking_t {
    struct event_base *base;
    const gc_redis_options_t *options;
    const char *prefix;
    gc_tracking_handler_t handler;
    redisAsyncContext *connections[CONNECTIONS];
    struct event *timer;
    long long ear_id; /* as Redis knows that client */
    int hears;
    int unanswered; /* beats */
};

static void set_hears(gc_tracking_t *t, int hears)
{
    if (t->hears != hears) {
        t->hears = hears;
        t->handler.hears(t->handler.baton, hears);
    }
}

/* Forgets both connections and lets hiredis close what is still open of them;
 * the timer makes new ones. */
static void lose(gc_tracking_t *t)
{
    int i;

    set_hears(t, 0);
    for (i = 0; i < CONNECTIONS; i++) {
        redisAsyncContext *c = t->connections[i];

        t->connections[i] = NULL;
        if (c) {
            c->data = NULL;
            redisAsyncFree(c);
        }
    }
}

/* hiredis frees the context itself after this: it must not be freed again. */
static void forget(gc_tracking_t *t, const redisAsyncContext *c)
{
    int i;

    for (i = 0; i < CONNECTIONS; i++) {
        if (t->connections[i] == c) {
            t->connections[i] = NULL;
        }
    }
    lose(t);
}

static void disconnected_cb(const redisAsyncContext *c, int status)
{
    (void)status;
    if (c->data) {
        forget(c->data, c);
    }
}

static void connected_cb(const redisAsyncContext *c, int status)
{
    if (c->data && status != REDIS_OK) {
        forget(c->data, c);
    }
}

static int is_error(const redisReply *reply)
{
    return !reply || reply->type == REDIS_REPLY_ERROR;
}

/* Redis gave its word: from here on nothing is missed. */
static void tracking_cb(redisAsyncContext *c, void *reply, void *baton)
{
    if (c->data) {
        set_hears(baton, !is_error(reply));
    }
}

/* The ear is open: now the voice may tell Redis to speak to it. */
static void redirect(gc_tracking_t *t)
{
    if (t->connections[VOICE]) {
        redisAsyncCommand(t->connections[VOICE], tracking_cb, t,
                          "CLIENT TRACKING ON REDIRECT %lld BCAST PREFIX %s", t->ear_id, t->prefix);
    }
}

/* keys: an array of those that changed; nil: all of them may have. */
static void tell(gc_tracking_t *t, const redisReply *keys)
{
    size_t i;

    if (keys->type != REDIS_REPLY_ARRAY) {
        t->handler.changed(t->handler.baton, NULL, 0);
        return;
    }
    for (i = 0; i < keys->elements; i++) {
        t->handler.changed(t->handler.baton, keys->element[i]->str, keys->element[i]->len);
    }
}

/* ["subscribe", "__redis__:invalidate", 1], then ["message", …, keys] */
static void heard_cb(redisAsyncContext *c, void *data, void *baton)
{
    const redisReply *reply = data;
    gc_tracking_t *t = baton;

    if (!c->data || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        return;
    }
    if (strcmp(reply->element[0]->str, "subscribe") == 0) {
        redirect(t);
    } else if (strcmp(reply->element[0]->str, "message") == 0) {
        tell(t, reply->element[2]);
    }
}

static void pong_cb(redisAsyncContext *c, void *reply, void *baton)
{
    gc_tracking_t *t = baton;

    if (c->data && !is_error(reply)) {
        t->unanswered = 0;
    }
}

/* The ear's id is known: it listens. */
static void id_cb(redisAsyncContext *c, void *data, void *baton)
{
    gc_tracking_t *t = baton;
    const redisReply *reply = data;

    if (c->data && !is_error(reply) && reply->type == REDIS_REPLY_INTEGER) {
        t->ear_id = reply->integer;
        redisAsyncCommand(t->connections[EAR], heard_cb, t, "SUBSCRIBE __redis__:invalidate");
    }
}

static void sign_in(const gc_tracking_t *t, redisAsyncContext *c)
{
    const gc_redis_options_t *o = t->options;

    if (o->password && o->username) {
        redisAsyncCommand(c, NULL, NULL, "AUTH %s %s", o->username, o->password);
    } else if (o->password) {
        redisAsyncCommand(c, NULL, NULL, "AUTH %s", o->password);
    }
}

static int open_one(gc_tracking_t *t, int which)
{
    const gc_redis_options_t *o = t->options;
    redisAsyncContext *c =
        o->path ? redisAsyncConnectUnix(o->path) : redisAsyncConnect(o->host, o->port);

    if (!c) {
        return 0;
    }
    if (c->err || redisLibeventAttach(c, t->base) != REDIS_OK) {
        redisAsyncFree(c);
        return 0;
    }
    c->data = t;
    t->connections[which] = c;
    redisAsyncSetConnectCallback(c, connected_cb);
    redisAsyncSetDisconnectCallback(c, disconnected_cb);
    sign_in(t, c);
    return 1;
}

static void open_both(gc_tracking_t *t)
{
    t->unanswered = 0;
    if (open_one(t, EAR) && open_one(t, VOICE)) {
        redisAsyncCommand(t->connections[EAR], id_cb, t, "CLIENT ID");
    } else {
        lose(t);
    }
}

static void beat_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_tracking_t *t = baton;

    (void)fd;
    (void)what;
    if (t->unanswered > 1) {
        lose(t);
    }
    if (!t->connections[EAR]) {
        open_both(t);
    }
    if (t->connections[VOICE]) {
        t->unanswered++;
        redisAsyncCommand(t->connections[VOICE], pong_cb, t, "PING");
    }
}

static apr_status_t stop_cb(void *baton)
{
    gc_tracking_t *t = baton;

    lose(t);
    event_free(t->timer);
    return APR_SUCCESS;
}

apr_status_t gc_loop_tracking_start(apr_pool_t *pool, struct event_base *base,
                                    const gc_redis_options_t *options, const char *prefix,
                                    const gc_tracking_handler_t *handler, gc_tracking_t **tracking)
{
    gc_tracking_t *t = apr_pcalloc(pool, sizeof(*t));

    t->base = base;
    t->options = options;
    t->prefix = prefix;
    t->handler = *handler;
    t->timer = event_new(base, -1, EV_PERSIST, beat_cb, t);
    if (!t->timer) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, t, stop_cb, apr_pool_cleanup_null);
    event_add(t->timer, &beat);
    open_both(t);
    *tracking = t;
    return APR_SUCCESS;
}
