/* SPDX-License-Identifier: Apache-2.0
 * The handlers and the body rules that the route table names; one file a resource.
 */
#ifndef GC_HANDLERS_H
#define GC_HANDLERS_H

#include "request.h"

/* auth.c */
extern const gc_rule_t gc_rules_signup[], gc_rules_send_otp[], gc_rules_forgot_password[],
    gc_rules_verify_otp[];
gc_handler_t gc_handle_signup, gc_handle_send_otp, gc_handle_forgot_password, gc_handle_verify_otp;

/* password.c */
extern const gc_rule_t gc_rules_login[], gc_rules_change_password[];
gc_handler_t gc_handle_login, gc_handle_change_password;

/* session.c */
extern const gc_rule_t gc_rules_refresh[];
gc_handler_t gc_handle_refresh, gc_handle_logout, gc_handle_sessions, gc_handle_session_end,
    gc_handle_sessions_end;

/* user.c */
extern const gc_rule_t gc_rules_me_change[];
gc_handler_t gc_handle_me, gc_handle_me_change, gc_handle_me_delete, gc_handle_me_usage;

/* chatroom.c */
extern const gc_rule_t gc_rules_chatroom_create[], gc_rules_chatroom_change[];
gc_handler_t gc_handle_chatroom_create, gc_handle_chatroom_list, gc_handle_chatroom_get,
    gc_handle_chatroom_change, gc_handle_chatroom_delete;

/* ticket.c */
extern const gc_rule_t gc_rules_stream_ticket[];
gc_handler_t gc_handle_stream_ticket;

/* events.c, reply.c */
gc_handler_t gc_handle_message_events, gc_handle_message_cancel, gc_handle_message_regenerate;

/* export.c */
gc_handler_t gc_handle_chatroom_export, gc_handle_me_export;

/* message.c */
extern const gc_rule_t gc_rules_message_send[];
gc_handler_t gc_handle_message_send, gc_handle_message_list, gc_handle_message_get;

/* subscription.c, subscribe.c, webhook.c */
gc_handler_t gc_handle_subscription_status, gc_handle_subscribe_pro, gc_handle_subscribe_portal,
    gc_handle_stripe_webhook;

/* metrics.c */
gc_handler_t gc_handle_metrics;

/* operations.c */
gc_handler_t gc_handle_root, gc_handle_healthz, gc_handle_readyz, gc_handle_jwks;

/* admin_jobs.c */
gc_handler_t gc_handle_admin_jobs, gc_handle_admin_job_retry, gc_handle_admin_job_drop;

/* admin_users.c */
extern const gc_rule_t gc_rules_admin_user_change[];
gc_handler_t gc_handle_admin_users, gc_handle_admin_user, gc_handle_admin_user_change,
    gc_handle_admin_sessions_end, gc_handle_admin_session_end;

/* admin_webhooks.c */
gc_handler_t gc_handle_admin_webhooks, gc_handle_admin_webhook, gc_handle_admin_webhook_replay;

/* pages.c */
gc_handler_t gc_handle_openapi, gc_handle_docs, gc_handle_asset;

#endif
