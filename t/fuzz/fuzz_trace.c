/* SPDX-License-Identifier: Apache-2.0
 * traceparent as a client sends it. What is taken has good ids, which stand in the input, and is
 * the same when it was written and read again.
 */
#include "fuzz.h"

#include <string.h>

#include "core/trace.h"

static void check_id(const char *text, const char *id, size_t size)
{
    HOLDS(strlen(id) == size && strspn(id, "0123456789abcdef") == size);
    HOLDS(strspn(id, "0") < size);
    HOLDS(strstr(text, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    const char *text = fuzz_text(pool, data, size);
    char written[GC_TRACE_TEXT + 1];
    gc_trace_t trace, again;

    if (gc_trace_parse(&trace, text) == APR_SUCCESS) {
        check_id(text, trace.id, 32);
        check_id(text, trace.span, 16);
        gc_trace_print(&trace, written);
        HOLDS(gc_trace_parse(&again, written) == APR_SUCCESS);
        HOLDS(strcmp(trace.id, again.id) == 0 && strcmp(trace.span, again.span) == 0);
        HOLDS(trace.is_sampled == again.is_sampled);
        HOLDS(strncmp(text, "00-", 3) != 0 || strncmp(text, written, GC_TRACE_TEXT - 2) == 0);
    } else {
        HOLDS(!*trace.id && !*trace.span);
    }
    apr_pool_destroy(pool);
    return 0;
}
