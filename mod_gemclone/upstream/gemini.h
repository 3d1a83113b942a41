/* SPDX-License-Identifier: Apache-2.0
 * The request to Gemini's streamGenerateContent. */
#ifndef GC_UPSTREAM_GEMINI_H
#define GC_UPSTREAM_GEMINI_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "http.h"

/*
 * Settings and a prompt in, a request for http.h out; gemini_reader.h reads the answer. No state.
 * Any thread.
 * Source: the Gemini Developer API v1beta, models/{model}:streamGenerateContent?alt=sse.
 */

/* What the configuration fills, once; check it before use. Nothing in it is copied. */
typedef struct {
    const char *base_url;          /* up to and with the version, as https://host/v1beta */
    const char *model;             /* where a prompt names none */
    const char *thinking;          /* a level (LOW) or a budget in tokens (0, -1); NULL: Google's */
    const apr_table_t *generation; /* generationConfig: name -> JSON; what is no JSON is a string */
    const apr_table_t *safety;     /* category, HARM_CATEGORY_ may be left out -> threshold.
                                      Either table may be NULL */
    gc_http_timeouts_t timeouts;   /* of one try */
    apr_size_t max_reply;          /* bytes of answer text */
} gc_gemini_settings_t;

typedef enum {
    GC_GEMINI_USER,
    GC_GEMINI_MODEL,
} gc_gemini_role_e;

typedef struct {
    gc_gemini_role_e role;
    const char *text; /* UTF-8 */
} gc_gemini_turn_t;

typedef struct {
    const char *key;               /* the API key, of whatever form; NULL: given later */
    const char *model;             /* NULL: the one of the settings */
    const char *system;            /* the system instruction; NULL or "": none */
    const gc_gemini_turn_t *turns; /* oldest first; the last one with text is the user's */
    apr_size_t turn_count;
} gc_gemini_prompt_t;

/* True for [a-z0-9._-]{1,64}. Such a name is safe in the path of a URL. */
int gc_gemini_model_is_valid(const char *model);

/* NULL, or what is wrong with the settings as a sentence for the admin, in `pool`. */
const char *gc_gemini_settings_check(apr_pool_t *pool, const gc_gemini_settings_t *settings);

/*
 * Fills `request`. All of it, the body too, lives in `pool`: give that pool, or a child, to
 * gc_loop_http_start.
 *
 * Turns without text are left out, as are turns of the model before the first of the user; turns of
 * one role in a row become one turn of several parts. APR_EINVAL when the last turn is not the
 * user's, a text is no UTF-8, or the key, the model or a setting is invalid.
 */
apr_status_t gc_gemini_request_make(gc_http_request_t *request, apr_pool_t *pool,
                                    const gc_gemini_settings_t *settings,
                                    const gc_gemini_prompt_t *prompt)
    __attribute__((warn_unused_result));

/* Gives a request that was made without one its key, which is not copied. Allocates in `pool`. */
void gc_gemini_request_key(gc_http_request_t *request, apr_pool_t *pool, const char *key);

#endif
