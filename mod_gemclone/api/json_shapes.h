/* SPDX-License-Identifier: Apache-2.0
 * Chatrooms and messages as clients see them.
 */
#ifndef GC_JSON_SHAPES_H
#define GC_JSON_SHAPES_H

#include <jansson.h>

#include "store/chatroom.h"
#include "store/message.h"

/* A chatroom. NULL without memory. */
json_t *gc_chatroom_json(apr_pool_t *pool, const gc_chatroom_t *room);

/* What lists show of a message. NULL without memory. */
json_t *gc_message_json(apr_pool_t *pool, const gc_message_t *message);

/* And what one message shows beside. */
json_t *gc_message_detail(apr_pool_t *pool, const gc_uuid_t *room, const gc_message_t *message);

/* The same as text, in the pool. Any thread. */
const char *gc_message_describe(apr_pool_t *pool, const gc_reply_ref_t *ref,
                                const gc_message_t *message);

#endif
