/* SPDX-License-Identifier: Apache-2.0
 * Traces: the traceparent of W3C's Trace Context, by which one request can be followed through many
 * logs (https://www.w3.org/TR/trace-context/).
 */
#ifndef GC_TRACE_H
#define GC_TRACE_H

#include "status.h"

/* Characters of a traceparent of version 00, the one that we write. */
#define GC_TRACE_TEXT 55

/* A place in a trace. Ids are what goes into logs: hexadecimal digits in lower case, never all 0.
 */
typedef struct gc_trace_t {
    char id[33];   /* the trace's; "": there is none */
    char span[17]; /* of who asks */
    int is_sampled;
} gc_trace_t;

/* Reads a header as it came. Of a version that is not known yet, what version 00 would have is
 * read. GC_EINPUT: it is none, and *trace is none. */
GC_MUST_CHECK apr_status_t gc_trace_parse(gc_trace_t *trace, const char *text);

/* A trace of our own, which begins here. */
void gc_trace_begin(gc_trace_t *trace);

/* A span's id, at random. */
void gc_trace_span(char span[17]);

/* As a traceparent of version 00. */
void gc_trace_print(const gc_trace_t *trace, char text[GC_TRACE_TEXT + 1]);

#endif
