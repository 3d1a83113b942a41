/* SPDX-License-Identifier: Apache-2.0
 * Replies that are owed no more.
 */
#ifndef GC_API_REPLY_H
#define GC_API_REPLY_H

#include "request.h"
#include "store/message.h"

/* There are jobs to be taken: the worker of this process, if it has one, need not wait for its next
 * look. Any thread. */
void gc_reply_poke(const gc_request_t *q);

/* A reply was to be stopped. Where a process has been asked to (GC_CANCEL_ASKED) it may be this
 * one; where it has ended by that (GC_CANCEL_ENDED) whoever reads it along is told, and with
 * next_due the room's next one is taken. Any thread. */
void gc_reply_note_cancel(const gc_request_t *q, const gc_reply_ref_t *ref, gc_cancel_e outcome,
                          int next_due);

/* Replies that were owed and went with their room or user, an array of gc_reply_ref_t: whoever
 * reads one along is told. Those who generate them find out by themselves. Any thread. */
void gc_replies_gone(const gc_request_t *q, const apr_array_header_t *owed);

#endif
