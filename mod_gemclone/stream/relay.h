/* SPDX-License-Identifier: Apache-2.0
 * Processes and hosts hand each other the text of running replies over Redis.
 *
 * A process with readers of a reply that it does not generate itself says so on a channel
 * that all processes hear, again every few seconds; the one that generates the reply then
 * sends what the other lacks, and whatever follows, to that other's own channel. So a reply
 * that nobody reads elsewhere costs Redis nothing, and no text is ever kept there.
 */
#ifndef GC_RELAY_H
#define GC_RELAY_H

#include "core/uuid.h"
#include "store/link.h"

/* The name of a process on the relay. */
#define GC_RELAY_NAME 32

/* A reply is named by its id and its room's: those who share a Redis, but no database, may have
 * replies of the same number. */
typedef struct gc_relay_key_t {
    apr_int64_t reply;
    gc_uuid_t room;
} gc_relay_key_t;

/* What is heard. Texts and keys are valid during the call only. */
typedef struct gc_relay_handler_t {
    /* Another process has so much of a reply and wants the rest; name has GC_RELAY_NAME characters.
     */
    void (*wanted)(void *baton, const gc_relay_key_t *key, apr_int64_t fence, apr_size_t have,
                   const char *name);
    void (*unwanted)(void *baton, const gc_relay_key_t *key, const char *name);
    /* A piece of a reply's text that begins at `from`; an empty one tells of a new try. */
    void (*text)(void *baton, const gc_relay_key_t *key, apr_int64_t fence, apr_size_t from,
                 const char *bytes, apr_size_t len);
    /* The reply has its end. */
    void (*ended)(void *baton, const gc_relay_key_t *key);
    /* From now on, others are heard, or are not. */
    void (*hears)(void *baton, int hears);
    void *baton;
} gc_relay_handler_t;

typedef struct gc_relay_t gc_relay_t;

/* On the loop, for as long as the link and the pool live. prefix: of all names in Redis. */
gc_relay_t *gc_loop_relay_start(apr_pool_t *pool, gc_link_t *link, const char *prefix,
                                const gc_relay_handler_t *handler);

/* To all: this process has so much of a reply and wants the rest, or wants no more. */
void gc_loop_relay_want(gc_relay_t *relay, const gc_relay_key_t *key, apr_int64_t fence,
                        apr_size_t have);
void gc_loop_relay_unwant(gc_relay_t *relay, const gc_relay_key_t *key);

/* To one process. */
void gc_loop_relay_text(gc_relay_t *relay, const char *name, const gc_relay_key_t *key,
                        apr_int64_t fence, apr_size_t from, const char *bytes, apr_size_t len);
void gc_loop_relay_end(gc_relay_t *relay, const char *name, const gc_relay_key_t *key);

#endif
