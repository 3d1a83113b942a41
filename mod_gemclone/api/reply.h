/* SPDX-License-Identifier: Apache-2.0
 * Replies that are owed no more.
 */
#ifndef GC_API_REPLY_H
#define GC_API_REPLY_H

#include "request.h"
#include "store/message.h"

/* A reply has ended, and no worker tells of it: whoever reads it along is told. Any thread. */
void gc_reply_note_end(const gc_request_t *q, const gc_reply_ref_t *ref);

/* Replies that were owed and went with their room or user, an array of gc_reply_ref_t: whoever
 * reads one along is told. Those who generate them find out by themselves. Any thread. */
void gc_replies_gone(const gc_request_t *q, const apr_array_header_t *owed);

#endif
