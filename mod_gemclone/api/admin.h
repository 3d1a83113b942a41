/* SPDX-License-Identifier: Apache-2.0
 * The admin page: who runs the server sees what it does, and steps in. It has a location, a handler
 * and a table of routes of its own, and httpd's Require says who gets there.
 */
#ifndef GC_ADMIN_H
#define GC_ADMIN_H

#include "request.h"

/* httpd's handler. It serves nothing where no Require keeps anybody out. */
int gc_admin_dispatch(request_rec *r);

/* Whether a changing request comes from a page of this origin, or from no page: browsers send an
 * admin's password along with whatever any page has them send. */
int gc_admin_is_same_origin(const request_rec *r);

/* A page of a list by ?state=, one of states (NULL at their end; the first is usual): *which of
 * them, and ?limit= and ?cursor=. GC_EINPUT: *why tells. */
GC_MUST_CHECK apr_status_t gc_admin_list(const gc_request_t *q, const char *const *states,
                                         int *which, gc_page_t *page, const char **why);

/* Answers with a list, which it takes. last: the place of the last one that is in it, where more
 * follows; else NULL. */
int gc_admin_answer_list(gc_request_t *q, const char *name, json_t *list, const gc_cursor_t *last);

/* Notes in the log what this admin has changed. The text holds ids only. */
void gc_admin_note(const gc_request_t *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A time, or null for 0. */
json_t *gc_admin_time(const gc_request_t *q, apr_time_t time);

#endif
