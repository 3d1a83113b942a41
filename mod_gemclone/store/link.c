/* SPDX-License-Identifier: Apache-2.0
 * The loop's own talk with Redis.
 */
#include "link.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <apr_strings.h>
#include <hiredis/adapters/libevent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* Redis is asked so often whether it is there, and must answer before the next time. */
static const struct timeval beat = {.tv_sec = 1};

/* What a Redis that does not read may leave with us. */
#define MOST_UNSENT ((size_t)8 * 1024 * 1024)

/* The two connections of an attempt. They are closed together. */
enum { EAR, VOICE, CONNECTIONS };

struct gc_link_t {
    struct event_base *base;
    gc_redis_t *redis;
    const gc_redis_options_t *options;
    gc_link_listener_t *listeners;
    redisAsyncContext *connections[CONNECTIONS];
    struct event *timer;
    long long ear_id; /* as Redis knows that client; 0: not known yet */
    int unanswered;   /* beats */
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *lookup; /* or NULL: none is under way that takes time */
    int looking;
    unsigned attempts;              /* to connect to what was looked up */
    char address[GC_REDIS_ADDRESS]; /* of this attempt */
};

static void tell_lost(gc_link_t *l)
{
    gc_link_listener_t *listener;

    for (listener = l->listeners; listener; listener = listener->next) {
        if (listener->is_open) {
            listener->is_open = 0;
            listener->lost(listener->baton);
        }
    }
}

/* Forgets both connections and lets hiredis close what is still open of them;
 * the timer makes new ones. */
static void lose(gc_link_t *l)
{
    int i;

    l->ear_id = 0;
    tell_lost(l);
    for (i = 0; i < CONNECTIONS; i++) {
        redisAsyncContext *c = l->connections[i];

        l->connections[i] = NULL;
        if (c) {
            c->data = NULL;
            redisAsyncFree(c);
        }
    }
}

/* hiredis frees the context itself after this: it must not be freed again. */
static void forget(gc_link_t *l, const redisAsyncContext *c)
{
    int i;

    for (i = 0; i < CONNECTIONS; i++) {
        if (l->connections[i] == c) {
            l->connections[i] = NULL;
        }
    }
    lose(l);
}

static void disconnected_cb(const redisAsyncContext *c, int status)
{
    (void)status;
    if (c->data) {
        forget(c->data, c);
    }
}

/* The ear says nothing: that a firewall has forgotten it is found out by the kernel. */
static void keep_alive(int fd)
{
    static const int on = 1, idle = 15, interval = 5, count = 3;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void connected_cb(const redisAsyncContext *c, int status)
{
    gc_link_t *l = c->data;

    if (l && status == REDIS_OK && l->options->host) {
        keep_alive(c->c.fd);
        gc_redis_set_address(l->redis, l->address);
    }
    if (l && status != REDIS_OK) {
        forget(l, c);
    }
}

static int is_error(const redisReply *reply)
{
    return !reply || reply->type == REDIS_REPLY_ERROR;
}

/* ["subscribe", channel, 1], then ["message", channel, what was said] */
static void heard_cb(redisAsyncContext *c, void *data, void *baton)
{
    const redisReply *reply = data;
    gc_link_listener_t *listener = baton;
    gc_link_t *l = c->data;

    if (!l || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        return;
    }
    if (strcmp(reply->element[0]->str, "subscribe") == 0) {
        listener->is_open = 1;
        listener->opened(listener->baton, l->ear_id);
    } else if (strcmp(reply->element[0]->str, "message") == 0) {
        listener->heard(listener->baton, reply->element[2]);
    }
}

static void subscribe(gc_link_t *l, gc_link_listener_t *listener)
{
    redisAsyncCommand(l->connections[EAR], heard_cb, listener, "SUBSCRIBE %s", listener->channel);
}

static void pong_cb(redisAsyncContext *c, void *reply, void *baton)
{
    gc_link_t *l = baton;

    if (c->data && !is_error(reply)) {
        l->unanswered = 0;
    }
}

/* The ear's id is known: it listens. */
static void id_cb(redisAsyncContext *c, void *data, void *baton)
{
    gc_link_t *l = baton;
    const redisReply *reply = data;
    gc_link_listener_t *listener;

    if (!c->data || is_error(reply) || reply->type != REDIS_REPLY_INTEGER) {
        return;
    }
    l->ear_id = reply->integer;
    for (listener = l->listeners; listener && l->ear_id; listener = listener->next) {
        subscribe(l, listener);
    }
}

static void sign_in(const gc_link_t *l, redisAsyncContext *c)
{
    const gc_redis_options_t *o = l->options;

    if (o->password && o->username) {
        redisAsyncCommand(c, NULL, NULL, "AUTH %s %s", o->username, o->password);
    } else if (o->password) {
        redisAsyncCommand(c, NULL, NULL, "AUTH %s", o->password);
    }
}

static int open_one(gc_link_t *l, int which)
{
    const gc_redis_options_t *o = l->options;
    redisAsyncContext *c =
        o->path ? redisAsyncConnectUnix(o->path) : redisAsyncConnect(l->address, o->port);

    if (!c) {
        return 0;
    }
    if (c->err || redisLibeventAttach(c, l->base) != REDIS_OK) {
        redisAsyncFree(c);
        return 0;
    }
    c->data = l;
    l->connections[which] = c;
    redisAsyncSetConnectCallback(c, connected_cb);
    redisAsyncSetDisconnectCallback(c, disconnected_cb);
    sign_in(l, c);
    return 1;
}

static void open_both(gc_link_t *l)
{
    l->unanswered = 0;
    if (open_one(l, EAR) && open_one(l, VOICE)) {
        redisAsyncCommand(l->connections[EAR], id_cb, l, "CLIENT ID");
    } else {
        lose(l);
    }
}

/* Several addresses are tried in turn, one each time. */
static void choose(gc_link_t *l, const struct evutil_addrinfo *found)
{
    const struct evutil_addrinfo *each;
    unsigned count = 0, chosen;

    for (each = found; each; each = each->ai_next) {
        count++;
    }
    chosen = l->attempts++ % count;
    for (each = found; chosen > 0; each = each->ai_next) {
        chosen--;
    }
    if (getnameinfo(each->ai_addr, each->ai_addrlen, l->address, sizeof(l->address), NULL, 0,
                    NI_NUMERICHOST)
        != 0) {
        *l->address = '\0';
    }
}

static void found_cb(int failed, struct evutil_addrinfo *found, void *baton)
{
    gc_link_t *l = baton;

    l->looking = 0;
    l->lookup = NULL;
    if (failed || !found) {
        return;
    }
    choose(l, found);
    evutil_freeaddrinfo(found);
    if (*l->address) {
        open_both(l);
    }
}

static void stop_looking(gc_link_t *l)
{
    if (l->lookup) {
        evdns_getaddrinfo_cancel(l->lookup);
    }
    if (l->dns) {
        evdns_base_free(l->dns, 0);
        l->dns = NULL;
    }
}

/* With the servers and hosts that the machine has now. */
static void look_up(gc_link_t *l)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG};
    struct evdns_getaddrinfo_request *lookup;

    stop_looking(l);
    l->dns = evdns_base_new(l->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!l->dns) {
        return;
    }
    /* Where that fails, the hosts file has been read all the same. */
    (void)evdns_base_resolv_conf_parse(l->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    l->looking = 1;
    lookup = evdns_getaddrinfo(l->dns, l->options->host, NULL, &hints, found_cb, l);
    if (l->looking) {
        l->lookup = lookup; /* it is not over yet */
    }
}

static void begin(gc_link_t *l)
{
    const char *host = l->options->host;

    if (host && !gc_redis_is_address(host)) {
        look_up(l);
    } else {
        apr_cpystrn(l->address, host ? host : "", sizeof(l->address));
        open_both(l);
    }
}

static void beat_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_link_t *l = baton;

    (void)fd;
    (void)what;
    if (l->unanswered > 1) {
        lose(l);
    }
    if (!l->connections[EAR] && !l->looking) {
        begin(l);
    }
    if (l->connections[VOICE]) {
        l->unanswered++;
        redisAsyncCommand(l->connections[VOICE], pong_cb, l, "PING");
    }
}

void gc_loop_link_say(gc_link_t *link, redisCallbackFn *reply, void *baton, int argc,
                      const char **argv, const size_t *lens)
{
    redisAsyncContext *voice = link->connections[VOICE];

    if (!voice) {
        return;
    }
    redisAsyncCommandArgv(voice, reply, baton, argc, argv, lens);
    if (sdslen(voice->c.obuf) > MOST_UNSENT) {
        lose(link);
    }
}

void gc_loop_link_listen(gc_link_t *link, gc_link_listener_t *listener)
{
    listener->next = link->listeners;
    link->listeners = listener;
    if (link->ear_id) {
        subscribe(link, listener);
    }
}

static apr_status_t stop_cb(void *baton)
{
    gc_link_t *l = baton;

    lose(l);
    stop_looking(l);
    event_free(l->timer);
    return APR_SUCCESS;
}

apr_status_t gc_loop_link_start(apr_pool_t *pool, struct event_base *base, gc_redis_t *redis,
                                gc_link_t **link)
{
    gc_link_t *l = apr_pcalloc(pool, sizeof(*l));

    l->base = base;
    l->redis = redis;
    l->options = gc_redis_options(redis);
    l->timer = event_new(base, -1, EV_PERSIST, beat_cb, l);
    if (!l->timer) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, l, stop_cb, apr_pool_cleanup_null);
    event_add(l->timer, &beat);
    event_active(l->timer, EV_TIMEOUT, 0); /* the first one at once, but not in here */
    *link = l;
    return APR_SUCCESS;
}
