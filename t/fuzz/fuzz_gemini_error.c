/* SPDX-License-Identifier: Apache-2.0
 * What Gemini says when it refuses. The input is the HTTP status on one line, then the body.
 */
#include "fuzz.h"

#include <jansson.h>

#include "outcome.h"
#include "upstream/gemini_json.h"

/* Waiting for as long as Gemini asks for makes sense for a rate limit that passes only. */
static void check_limits(const gc_gemini_outcome_t *o)
{
    if (o->retry == GC_GEMINI_RETRY_AFTER) {
        HOLDS(o->verdict == GC_GEMINI_FAILED && !o->config_alarm);
    }
    if (o->error == GC_GEMINI_ERROR_RATE_LIMITED) {
        HOLDS(o->retry == GC_GEMINI_RETRY_AFTER || o->retry == GC_GEMINI_RETRY_FALLBACK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    char *line = fuzz_line(pool, &data, &size);
    gc_gemini_outcome_t outcome = {.http_status = (int)(fuzz_number(&line, 200) % 1000)};
    json_t *body = gc_gemini_json_load(fuzz_text(pool, data, size), size);

    HOLDS(!body || json_is_object(body) || json_is_array(body));
    gc_gemini_outcome_error(&outcome, body);
    check_outcome(&outcome);
    check_limits(&outcome);
    HOLDS(outcome.verdict == GC_GEMINI_FAILED);
    json_decref(body);
    apr_pool_destroy(pool);
    return 0;
}
