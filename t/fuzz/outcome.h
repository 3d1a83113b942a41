/* SPDX-License-Identifier: Apache-2.0
 * What holds of every outcome of a call to Gemini.
 */
#ifndef FUZZ_OUTCOME_H
#define FUZZ_OUTCOME_H

#include "fuzz.h"

#include <string.h>

#include "upstream/gemini_outcome.h"

/* What may be logged and stored as it is. */
static inline int is_word(const char *text)
{
    return strlen(text) < GC_GEMINI_WORD
           && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_.:/-")];
}

static inline void check_outcome(const gc_gemini_outcome_t *o)
{
    int failed = o->verdict == GC_GEMINI_FAILED || o->verdict == GC_GEMINI_BLOCKED;

    HOLDS(o->detail && *o->detail && o->message);
    HOLDS(failed == (o->error != GC_GEMINI_ERROR_NONE));
    HOLDS(failed == (*o->message != '\0'));
    HOLDS((o->verdict == GC_GEMINI_BLOCKED) == (o->error == GC_GEMINI_ERROR_BLOCKED));
    HOLDS(failed || o->retry == GC_GEMINI_RETRY_NO);
    HOLDS((o->retry == GC_GEMINI_RETRY_AFTER) == (o->delay != 0));
    HOLDS(o->delay >= 0 && o->delay <= apr_time_from_sec(300));
    HOLDS(!o->config_alarm || o->verdict == GC_GEMINI_FAILED);
    HOLDS(!o->key_refused || o->config_alarm);
    HOLDS(!o->prompt_blocked || o->verdict == GC_GEMINI_BLOCKED);
    HOLDS(o->usage.prompt >= 0 && o->usage.cached >= 0 && o->usage.candidates >= 0
          && o->usage.thoughts >= 0);
    HOLDS(is_word(o->finish_reason) && is_word(o->error_code) && is_word(o->model_version));
}

#endif
