/* SPDX-License-Identifier: Apache-2.0
 * Answers. Each function sends one and returns what httpd's handler is to return.
 */
#ifndef GC_ANSWER_H
#define GC_ANSWER_H

#include "core/problem.h"
#include "request.h"

/* Before any of those below: what every answer carries. It is put into err_headers_out, from where
 * it goes into errors of httpd's, too, for which this may be called once more. A handler whose
 * answer is a page sets another Content-Security-Policy there, which then stays. */
void gc_answer_prepare(request_rec *r);

/* Takes the reference to body; NULL, for want of memory, is answered with 500. */
int gc_answer_json(gc_request_t *q, int status, json_t *body);

/* Bytes that live as long as the request. A 200 to a GET gets an ETag, and 304 in
 * its place when the client has it. */
int gc_answer_bytes(gc_request_t *q, int status, const char *type, const char *bytes,
                    apr_size_t len);

/* Status, type and Cache-Control, for whoever writes the body. */
void gc_answer_head(gc_request_t *q, int status, const char *type);

/* The body alone: status and headers are set. */
int gc_answer_body(gc_request_t *q, const char *bytes, apr_size_t len);

int gc_answer_problem(gc_request_t *q, const gc_problem_t *problem);

/* The detail of a 422, whose errors tell more. */
#define GC_BROKEN_RULE "The body breaks a rule; errors tells which."

/* A problem without more to it; a NULL detail repeats the title. */
int gc_answer_error(gc_request_t *q, int status, const char *detail);

/* A 422 for one member of the body that a rule cannot judge alone. */
int gc_answer_broken_rule(gc_request_t *q, const char *pointer, const char *detail);

/* For a request whose Idempotency-Key is none. */
int gc_answer_bad_key(gc_request_t *q);

/* Why nothing can be bought, and in how many seconds it may be worth asking again: a 503 of a kind
 * of its own. */
int gc_answer_not_sold(gc_request_t *q, const char *detail, int retry_after);

/* As many requests wait as there may be, or this process cannot have anything wait. */
int gc_answer_crowded(gc_request_t *q, int retry_after);

/* What went wrong below, as an answer: the one place where this is decided. */
int gc_answer_failure(gc_request_t *q, apr_status_t rv);

#endif
