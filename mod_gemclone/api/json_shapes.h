/* SPDX-License-Identifier: Apache-2.0
 * Accounts, chatrooms and messages as clients see them. All of these are NULL without memory.
 */
#ifndef GC_JSON_SHAPES_H
#define GC_JSON_SHAPES_H

#include <jansson.h>

#include "store/billing.h"
#include "store/chatroom.h"
#include "store/message.h"
#include "store/sender.h"
#include "store/session.h"
#include "store/user.h"

json_t *gc_user_json(apr_pool_t *pool, const gc_user_t *user);
json_t *gc_usage_count_json(const gc_usage_count_t *count);
json_t *gc_usage_json(apr_pool_t *pool, const gc_quota_t *quota, const gc_usage_t *usage);
json_t *gc_subscription_json(apr_pool_t *pool, const gc_billing_status_t *status);

/* current: the session that asks; NULL: none of them does. */
json_t *gc_session_json(apr_pool_t *pool, const gc_session_t *session, const gc_uuid_t *current);

json_t *gc_chatroom_json(apr_pool_t *pool, const gc_chatroom_t *room);

/* What lists show of a message. */
json_t *gc_message_json(apr_pool_t *pool, const gc_message_t *message);

/* And what one message shows beside. */
json_t *gc_message_detail(apr_pool_t *pool, const gc_uuid_t *room, const gc_message_t *message);

/* The same as text, in the pool. Any thread. */
const char *gc_message_describe(apr_pool_t *pool, const gc_reply_ref_t *ref,
                                const gc_message_t *message);

#endif
