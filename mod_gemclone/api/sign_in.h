/* SPDX-License-Identifier: Apache-2.0
 * What all ways to sign in have in common: the session that is opened, and the answer.
 */
#ifndef GC_API_SIGN_IN_H
#define GC_API_SIGN_IN_H

#include "core/refresh.h"
#include "request.h"
#include "work/sign_in.h"

/* A session that is to be, and the tokens that it gives. */
typedef struct gc_entry_t {
    gc_session_new_t session;
    gc_token_t token;
    gc_refresh_t refresh; /* of a login */
    gc_hash_t refresh_hash;
} gc_entry_t;

/* In the request's pool. No token of it is good for longer than the session. A reset's has a short
 * life and no refresh token. */
gc_entry_t *gc_entry_make(gc_request_t *q, gc_token_scope_e scope);

/* The session is open. */
int gc_entry_answer(gc_request_t *q, gc_entry_t *entry, const gc_uuid_t *user);

/* The same for a session that goes on with other tokens. */
int gc_answer_tokens(gc_request_t *q, const char *message, gc_token_t *token,
                     const gc_refresh_t *refresh);

/* A 429, or a 503 where it is nobody's fault. */
int gc_answer_limited(gc_request_t *q, const gc_refusal_t *refusal);

/* For whoever answers a refusal otherwise: counts it, if it is one. */
void gc_count_limited(const gc_request_t *q, const gc_refusal_t *refusal);

/* The request's address, as limits count it. */
const char *gc_request_address(const gc_request_t *q);

/* Takes a limit of the configuration for a subject. */
void gc_request_use(const gc_request_t *q, gc_limit_uses_t *uses, gc_limit_e kind,
                    const char *subject);

/* The number in the body, in E.164. With a long country code it may have too many digits:
 * GC_EINPUT, and how to answer that. */
GC_MUST_CHECK apr_status_t gc_request_number(const gc_request_t *q, const char **e164);
int gc_answer_bad_number(gc_request_t *q);

/* The rule of a body's number. */
const char *gc_check_number(apr_pool_t *pool, const char *number);

#define GC_RULE_MOBILE_NUMBER                                                                      \
    {                                                                                              \
        "mobile_number", GC_RULE_REQUIRED, 1, 32, NULL, gc_check_number                            \
    }

/* After how many seconds it may be worth trying again where too many wait. */
enum { GC_SIGN_IN_RETRY = 1 };

/* Has the request wait for an errand; answered(q, entry, sign_in) answers it, before the errand
 * goes. */
typedef int gc_answered_t(gc_request_t *q, gc_entry_t *entry, const gc_sign_in_t *sign_in);
int gc_request_sign_in(gc_request_t *q, gc_entry_t *entry, gc_sign_in_t *sign_in,
                       gc_answered_t *answered);

/* Sessions of the user's were ended: all processes are to hear of it, and this one knows of one of
 * them by name (or NULL). */
void gc_request_note_ended(gc_request_t *q, const gc_uuid_t *session);

#endif
