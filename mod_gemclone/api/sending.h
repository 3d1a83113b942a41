/* SPDX-License-Identifier: Apache-2.0
 * What sending a prompt and regenerating a reply have in common: places for streams, quotas,
 * keys, and the answer, which is JSON or the stream of the reply.
 */
#ifndef GC_SENDING_H
#define GC_SENDING_H

#include "request.h"

#define GC_SENDING_ON (-100)

/* Reads the Idempotency-Key and, where the client asks for events, reserves a stream.
 * GC_SENDING_ON, or what the handler is to return: the request is answered. */
int gc_sending_begin(gc_request_t *q, gc_key_t *key);

/* Answers with what came of it; takes the reference to accepted, the body of a success. */
int gc_sending_end(gc_request_t *q, apr_status_t rv, const gc_sent_t *sent, json_t *accepted);

#endif
