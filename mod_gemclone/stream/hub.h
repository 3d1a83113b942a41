/* SPDX-License-Identifier: Apache-2.0
 * Who reads which reply along, and what each of them is still to get.
 *
 *   work ──text──▶ topic ──▶ viewer, viewer …       a topic is one reply of which
 *   relay ─text──▶   │                              this process knows a reader
 *                    └─text─▶ relay ──▶ followers   (of other processes)
 *   Postgres ─end─▶ topic: the rest, `done`
 *
 * The text of a reply only grows, and a viewer has a place in it. What it is to get next
 * follows from that alone, so that nothing is kept for a viewer that reads slowly, and
 * one that cannot be written to just gets more at once later. A try that failed leaves its
 * viewers with another fence than the next one's: they are told to start over.
 *
 * `done` is sent when the reply's end was read from Postgres: it is durable by then.
 * Without Redis, the text of a reply of another process comes when it is whole.
 */
#ifndef GC_HUB_H
#define GC_HUB_H

#include <apr_ring.h>

#include "core/log.h"
#include "core/metrics.h"
#include "frame.h"
#include "store/link.h"
#include "store/message.h"
#include "work/companion.h"
#include "work/sink.h"

typedef struct gc_viewer_t gc_viewer_t;

/* What a viewer is to the hub. Called on the loop. */
typedef struct gc_viewer_type_t {
    /* Takes frames. GC_VIEWER_FULL: it has taken them, but wants no more until
     * gc_loop_hub_ready; else GC_VIEWER_READY, or GC_VIEWER_GONE. */
    int (*write)(gc_viewer_t *viewer, const char *bytes, apr_size_t len);
    /* The hub is done with it and forgets it. dropped: not all was written, and what was and is
     * still on its way need not arrive. */
    void (*end)(gc_viewer_t *viewer, int dropped);
} gc_viewer_type_t;

enum { GC_VIEWER_READY, GC_VIEWER_FULL, GC_VIEWER_GONE };

/* One reader. The caller's, who sets the first four; the rest is the hub's. */
struct gc_viewer_t {
    const gc_viewer_type_t *type;
    gc_reply_ref_t ref;
    gc_event_id_t at;    /* what it has */
    gc_loop_task_t task; /* for gc_hub_attach */

    APR_RING_ENTRY(gc_viewer_t) link; /* among the topic's */
    APR_RING_ENTRY(gc_viewer_t) beat; /* among all, the one that was written to last at the end */
    struct gc_topic_t *topic;         /* NULL: not attached */
    apr_time_t written;               /* to it, last */
    apr_size_t full_at;               /* the topic's length when it became full */
    int is_full;
};

typedef struct gc_hub_options_t {
    gc_companion_t *companion;
    gc_db_t *db;
    const gc_log_t *log;
    gc_metrics_t *metrics; /* or NULL */
    gc_link_t *link;       /* or NULL: there is no Redis */
    const char *prefix;    /* of all names in Redis */
    /* The data of `done`, in the pool. Any thread. */
    const char *(*describe)(apr_pool_t *pool, const gc_reply_ref_t *ref,
                            const gc_message_t *message);
    apr_size_t max_reply; /* the longest reply */
    apr_size_t buffer;    /* what a viewer may leave unread before it is dropped */
    apr_interval_time_t heartbeat;
    apr_interval_time_t patience; /* with a viewer that takes nothing at all */
    apr_interval_time_t poll;     /* how often Postgres is asked for ends that nobody told of */
} gc_hub_options_t;

typedef struct gc_hub_t gc_hub_t;

/* Lives as long as the pool, which must be cleared on the loop's thread with no viewer left. */
GC_MUST_CHECK apr_status_t gc_loop_hub_start(apr_pool_t *pool, const gc_hub_options_t *options,
                                             gc_hub_t **hub);

/* What the worker is to tell. */
const gc_sink_t *gc_hub_sink(const gc_hub_t *hub);

/* Writes a reply to a viewer from viewer->at on, to its end. */
void gc_loop_hub_attach(gc_hub_t *hub, gc_viewer_t *viewer);

/* The viewer wants no more; end is not called. It need not be attached any more. */
void gc_loop_hub_detach(gc_hub_t *hub, gc_viewer_t *viewer);

/* A viewer took something of what it was given before. */
void gc_loop_hub_wrote(gc_hub_t *hub, gc_viewer_t *viewer);

/* A viewer that was full takes more. */
void gc_loop_hub_ready(gc_hub_t *hub, gc_viewer_t *viewer);

/* Any thread: a reply has ended in a way that no worker tells of. */
void gc_hub_ended(gc_hub_t *hub, const gc_reply_ref_t *ref);

/* Lets streams go on for so long, then ends them all, and each that comes later at once: their
 * clients come back elsewhere. */
void gc_loop_hub_drain(gc_hub_t *hub, apr_interval_time_t patience);

#endif
