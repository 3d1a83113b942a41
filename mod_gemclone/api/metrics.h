/* SPDX-License-Identifier: Apache-2.0
 * Counting requests, and telling all that is counted.
 */
#ifndef GC_API_METRICS_H
#define GC_API_METRICS_H

#include "request.h"

/* A request is ours, and has its route if there is one. */
void gc_count_begin(gc_request_t *q);

/* It waits for an errand, or is a stream from now on. */
void gc_count_waiting(gc_request_t *q);
void gc_count_stream(gc_request_t *q, int is_resumed);

/* In the hook log_transaction: a request has ended, be it ours or not. */
void gc_count_end(request_rec *r);

/* Answers with the counts of all sites: for a handler of the admin's own. */
int gc_metrics_answer(request_rec *r);

/* What is known of a site beside what is counted: all of gc_sample_e. */
void gc_metrics_sample(const gc_service_t *service, apr_int64_t *samples);

#endif
