/* SPDX-License-Identifier: Apache-2.0
 * Stream tickets in the query of a request.
 */
#ifndef GC_API_TICKET_H
#define GC_API_TICKET_H

#include "request.h"

/* Takes the ticket, and the number that an admin looks for, out of all that httpd knows of a
 * request line, for they must not reach a log, and returns them, in the request's pool; or NULL.
 * Other secrets that should not stand there are taken out as well. ticket and number may be NULL,
 * both. */
void gc_ticket_hide(request_rec *r, const char **ticket, const char **number);

/* Uses a ticket up; q->token.user is then whose it was. GC_ENOENT: it is not good for this reply.
 */
GC_MUST_CHECK apr_status_t gc_ticket_check(gc_request_t *q, const char *ticket);

#endif
