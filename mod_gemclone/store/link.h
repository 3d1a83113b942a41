/* SPDX-License-Identifier: Apache-2.0
 * The loop's own talk with Redis: two connections, of which one listens to
 * channels and the other speaks, since over RESP2 none can do both. The voice
 * proves by PING, each second, that Redis still answers. If either is lost both
 * are made anew. A host's name is looked up each time, without blocking anybody,
 * and what was found is told to the threads that block (redis.h).
 */
#ifndef GC_LINK_H
#define GC_LINK_H

#include <event2/event.h>
#include <hiredis/async.h>

#include "redis.h"

/* Who listens to one channel. The caller's; it must live as long as the link. */
typedef struct gc_link_listener_t gc_link_listener_t;
struct gc_link_listener_t {
    const char *channel;
    /* The channel is listened to, and the voice may be used. ear: the id of the listening
     * client, as Redis has it. */
    void (*opened)(void *baton, long long ear);
    /* The link is lost: what is said on the channel is missed until the next opened. */
    void (*lost)(void *baton);
    void (*heard)(void *baton, const redisReply *message);
    void *baton;
    gc_link_listener_t *next;
    int is_open;
};

typedef struct gc_link_t gc_link_t;

/* Runs on the loop until the pool is cleared, which must happen on its thread; redis must
 * live as long. Listeners are added before the loop goes on, and not removed. */
GC_MUST_CHECK apr_status_t gc_loop_link_start(apr_pool_t *pool, struct event_base *base,
                                              gc_redis_t *redis, gc_link_t **link);
void gc_loop_link_listen(gc_link_t *link, gc_link_listener_t *listener);

/* Says something; reply(context, redisReply or NULL, baton) may be NULL. Nothing is said while
 * the link is lost. One that leaves too much unread is lost. */
void gc_loop_link_say(gc_link_t *link, redisCallbackFn *reply, void *baton, int argc,
                      const char **argv, const size_t *lens);

#endif
