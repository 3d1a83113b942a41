/* SPDX-License-Identifier: Apache-2.0
 * Gateways that bring codes to phones: requests are made and answers read; nothing is kept.
 *
 *   Twilio Messages   https://www.twilio.com/docs/messaging/api/message-resource
 *   Twilio Verify v2  https://www.twilio.com/docs/verify/api: Twilio makes the code, and is asked
 *   a webhook         one's own gateway, signed after https://www.standardwebhooks.com
 */
#ifndef GC_UPSTREAM_SMS_H
#define GC_UPSTREAM_SMS_H

#include <apr_time.h>

#include "core/membuf.h"
#include "core/status.h"
#include "core/uuid.h"
#include "http.h"

enum {
    GC_SMS_WORD = 32,        /* of an error's code, with the NUL */
    GC_SMS_BODY = 256 * 1024 /* the longest answer */
};

typedef enum { GC_SMS_TWILIO, GC_SMS_VERIFY, GC_SMS_WEBHOOK } gc_sms_kind_e;

typedef struct gc_sms_settings_t {
    gc_sms_kind_e kind;
    const char *base_url; /* of a webhook: its whole address */
    const char *account;  /* Twilio's AC… */
    const char *key_id;   /* SK…, or NULL: the account itself signs in */
    const char *key;      /* its secret, or the webhook's whsec_… */
    const char *from;     /* Twilio Messages: a number, or a messaging service (MG…) */
    const char *service;  /* Twilio Verify: VA… */
    const char *text;     /* with {code} in it */
    gc_http_timeouts_t timeouts;
} gc_sms_settings_t;

/* What is wrong with settings, by the directive that is to blame (*directive), or NULL. */
const char *gc_sms_check(apr_pool_t *pool, const gc_sms_settings_t *settings,
                         const char **directive);

/* Whether the gateway knows a message that it was given before by its id: then it may be given it
 * again. */
int gc_sms_repeats(const gc_sms_settings_t *settings);

typedef struct gc_sms_t {
    gc_uuid_t id; /* the same each time it is sent */
    const char *e164, *purpose;
    const char *code; /* NULL with GC_SMS_VERIFY */
    apr_time_t expires, now;
} gc_sms_t;

/* Requests live in the pool. Send one; GC_SMS_VERIFY: ask whether a code is right. */
void gc_sms_send(gc_http_request_t *request, apr_pool_t *pool, const gc_sms_settings_t *settings,
                 const gc_sms_t *message);
void gc_sms_ask(gc_http_request_t *request, apr_pool_t *pool, const gc_sms_settings_t *settings,
                const char *e164, const char *code);

/* --- Answers --- */

typedef enum {
    GC_SMS_DONE,     /* the gateway has it; the code is right */
    GC_SMS_WRONG,    /* the code is wrong, or not good any more */
    GC_SMS_REFUSED,  /* it will not be sent, however often it is tried */
    GC_SMS_DENIED,   /* the gateway refuses our key, or is not the one we trust; it was not sent */
    GC_SMS_NOT_SENT, /* it surely was not sent: it may be tried again */
    GC_SMS_UNKNOWN   /* nobody knows: to send it again may send it twice */
} gc_sms_verdict_e;

typedef struct gc_sms_answer_t {
    gc_sms_verdict_e verdict;
    int http_status;        /* 0: there was no answer */
    char code[GC_SMS_WORD]; /* what went wrong, for a log; empty: nothing did */
} gc_sms_answer_t;

/* Reads what came back of a request to send, or to ask. */
void gc_sms_answer_sent(apr_pool_t *pool, const gc_sms_settings_t *settings,
                        const gc_http_result_t *result, const gc_membuf_t *body,
                        gc_sms_answer_t *answer);
void gc_sms_answer_asked(apr_pool_t *pool, const gc_http_result_t *result, const gc_membuf_t *body,
                         gc_sms_answer_t *answer);

#endif
