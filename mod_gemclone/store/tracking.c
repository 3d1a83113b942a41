/* SPDX-License-Identifier: Apache-2.0
 * Hears from Redis which keys have changed.
 */
#include "tracking.h"

#include <apr_strings.h>

typedef struct {
    gc_link_t *link;
    const char *prefix;
    gc_tracking_handler_t handler;
    gc_link_listener_t listener;
    int hears;
} tracking_t;

static void set_hears(tracking_t *t, int hears)
{
    if (t->hears != hears) {
        t->hears = hears;
        t->handler.hears(t->handler.baton, hears);
    }
}

/* Redis gave its word: from here on nothing is missed. */
static void tracking_cb(redisAsyncContext *c, void *data, void *baton)
{
    const redisReply *reply = data;

    if (c->data) {
        set_hears(baton, reply && reply->type != REDIS_REPLY_ERROR);
    }
}

/* The ear is open: now the voice may tell Redis to speak to it. */
static void opened(void *baton, long long ear)
{
    tracking_t *t = baton;
    char id[24];
    const char *argv[] = {"CLIENT", "TRACKING", "ON", "REDIRECT", id, "BCAST", "PREFIX", t->prefix};

    apr_snprintf(id, sizeof(id), "%" APR_INT64_T_FMT, (apr_int64_t)ear);
    gc_loop_link_say(t->link, tracking_cb, t, 8, argv, NULL);
}

static void lost(void *baton)
{
    set_hears(baton, 0);
}

/* keys: an array of those that changed; nil: all of them may have. */
static void heard(void *baton, const redisReply *keys)
{
    const gc_tracking_handler_t *handler = &((tracking_t *)baton)->handler;
    size_t i;

    if (keys->type != REDIS_REPLY_ARRAY) {
        handler->changed(handler->baton, NULL, 0);
        return;
    }
    for (i = 0; i < keys->elements; i++) {
        handler->changed(handler->baton, keys->element[i]->str, keys->element[i]->len);
    }
}

void gc_loop_tracking_start(apr_pool_t *pool, gc_link_t *link, const char *prefix,
                            const gc_tracking_handler_t *handler)
{
    tracking_t *t = apr_pcalloc(pool, sizeof(*t));

    t->link = link;
    t->prefix = prefix;
    t->handler = *handler;
    t->listener = (gc_link_listener_t){.channel = "__redis__:invalidate",
                                       .opened = opened,
                                       .lost = lost,
                                       .heard = heard,
                                       .baton = t};
    gc_loop_link_listen(link, &t->listener);
}
