/* SPDX-License-Identifier: Apache-2.0
 * Traces: reading and writing traceparent.
 */
#include "trace.h"

#include <apr_strings.h>
#include <sodium.h>
#include <string.h>

/* VERSION-TRACE-SPAN-FLAGS; later versions may have more behind another '-'. */
enum { TRACE = 3, TRACE_END = 35, SPAN = 36, SPAN_END = 52, FLAGS = 53 };

static const char digits[] = "0123456789abcdef";

/* Hexadecimal digits in lower case from one place to another, and a '-' there, or the end. */
static int is_field(const char *text, int from, int to)
{
    return (int)strspn(text + from, digits) == to - from;
}

static int is_zero(const char *text, int from, int to)
{
    return (int)strspn(text + from, "0") == to - from;
}

static int is_version_good(const char *text)
{
    return strncmp(text, "ff", 2) != 0
           && (text[GC_TRACE_TEXT] == '\0'
               || (text[GC_TRACE_TEXT] == '-' && strncmp(text, "00", 2) != 0));
}

/* Each field is looked at only when those before it are there. */
static int is_good(const char *text)
{
    return is_field(text, 0, TRACE - 1) && text[TRACE - 1] == '-'
           && is_field(text, TRACE, TRACE_END) && !is_zero(text, TRACE, TRACE_END)
           && text[TRACE_END] == '-' && is_field(text, SPAN, SPAN_END)
           && !is_zero(text, SPAN, SPAN_END) && text[SPAN_END] == '-'
           && is_field(text, FLAGS, GC_TRACE_TEXT) && is_version_good(text);
}

apr_status_t gc_trace_parse(gc_trace_t *trace, const char *text)
{
    memset(trace, 0, sizeof(*trace));
    if (!is_good(text)) {
        return GC_EINPUT;
    }
    memcpy(trace->id, text + TRACE, TRACE_END - TRACE);
    memcpy(trace->span, text + SPAN, SPAN_END - SPAN);
    trace->is_sampled = (int)((strchr(digits, text[GC_TRACE_TEXT - 1]) - digits) & 1);
    return APR_SUCCESS;
}

/* All zeros would be no id; they never come. */
static void make_id(char *text, size_t size)
{
    unsigned char bytes[16];

    do {
        randombytes_buf(bytes, sizeof(bytes));
    } while (sodium_is_zero(bytes, size / 2));
    sodium_bin2hex(text, size, bytes, size / 2);
}

void gc_trace_span(char span[17])
{
    make_id(span, 17);
}

void gc_trace_begin(gc_trace_t *trace)
{
    memset(trace, 0, sizeof(*trace));
    make_id(trace->id, sizeof(trace->id));
    gc_trace_span(trace->span);
    trace->is_sampled = 1;
}

void gc_trace_print(const gc_trace_t *trace, char text[GC_TRACE_TEXT + 1])
{
    apr_snprintf(text, GC_TRACE_TEXT + 1, "00-%s-%s-0%d", trace->id, trace->span,
                 trace->is_sampled);
}
