/* SPDX-License-Identifier: Apache-2.0
 * What the files of this room share; see stream.h.
 */
#ifndef GC_STREAM_INTERNAL_H
#define GC_STREAM_INTERNAL_H

#include "stream.h"

typedef struct gc_suspended_t gc_suspended_t;

/* What answers a request when an errand is done. */
typedef struct gc_answer_later_t {
    void (*call)(void *baton, request_rec *r);
    void *baton;
} gc_answer_later_t;

/* What has a place. */
typedef enum { GC_PLACE_STREAM, GC_PLACE_WAIT, GC_PLACES } gc_place_e;

struct gc_streams_t {
    gc_streams_options_t options;
    gc_streams_shared_t *shared;
    apr_uint32_t suspended[GC_PLACES]; /* atomic: connections, and places reserved */
    APR_RING_HEAD(gc_suspended_ring, gc_suspended_t) all; /* the loop's */
};

/* What goes out before anything else, in the pool. */
const char *gc_stream_prologue(apr_pool_t *pool, const gc_stream_t *stream, apr_size_t *len);

/* suspended.c */
void gc_suspended_init(gc_streams_t *streams);
int gc_suspended_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream);
int gc_suspended_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                      const gc_answer_later_t *answer);
void gc_loop_suspended_close_all(gc_streams_t *streams);
void gc_suspended_register(void);

/* blocking.c */
int gc_blocking_open(gc_streams_t *streams, request_rec *r, const gc_stream_t *stream);
int gc_blocking_wait(gc_streams_t *streams, request_rec *r, gc_errand_t *errand,
                     const gc_answer_later_t *answer);

/* A count of a host that outlives no process: what one that was killed held is free again.
 * Whether there was room for one more. */
GC_MUST_CHECK int gc_blocking_enter(gc_streams_shared_t *shared, gc_place_e place,
                                    apr_int64_t most);
void gc_blocking_leave(gc_streams_shared_t *shared, gc_place_e place);

#endif
