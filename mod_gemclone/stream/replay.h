/* SPDX-License-Identifier: Apache-2.0
 * What a reader who has so much of a reply is to get next. It follows from the reader's place,
 * the text, and the fence of the try that the text is of, and from nothing else.
 */
#ifndef GC_REPLAY_H
#define GC_REPLAY_H

#include "frame.h"
#include "store/message.h"

/* What a reply came to; borrows from the message and its description. */
typedef struct gc_ending_t {
    apr_int64_t fence;
    const char *event; /* "done" or "error" */
    const char *text;
    apr_size_t len;
    const char *description; /* the data of the event */
} gc_ending_t;

void gc_ending_of(gc_ending_t *end, const gc_message_t *message, const char *description);

/* What every stream begins with. */
void gc_replay_greet(gc_membuf_t *out, apr_status_t *status);

/* What one ends with that is cut short by us: its client is to come back soon. */
void gc_replay_farewell(gc_membuf_t *out, apr_status_t *status);

/* Appends what follows a place in a text under a fence, one event at most beside a reset, and
 * moves the place. is_whole: the text will not grow. */
void gc_replay_text(gc_membuf_t *out, gc_event_id_t *at, apr_int64_t fence, const char *text,
                    apr_size_t len, int is_whole, apr_status_t *status);

/* Appends the end where all text before it has been; whether it did. */
int gc_replay_end(gc_membuf_t *out, gc_event_id_t *at, const gc_ending_t *end,
                  apr_status_t *status);

/* Appends all that follows a place of a reply that has ended. */
void gc_replay_all(gc_membuf_t *out, const gc_event_id_t *from, const gc_message_t *message,
                   const char *description, apr_status_t *status);

#endif
