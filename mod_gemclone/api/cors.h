/* SPDX-License-Identifier: Apache-2.0
 * Pages of other origins: what browsers are told of them (CORS, https://fetch.spec.whatwg.org),
 * as GemcloneCORSOrigin has it. Without that directive, nothing.
 */
#ifndef GC_CORS_H
#define GC_CORS_H

#include <httpd.h>

/* Whether there may be such pages at all: never of the admin page. */
int gc_cors_is_on(const request_rec *r);

/* Adds what every answer says, whether to an origin that is allowed, to another or to none. Into
 * err_headers_out, so that errors and answers that come later have it, too. */
void gc_cors_apply(request_rec *r);

/* Adds the rest of what a preflight is told; methods are those of the path, as in Allow. An OPTIONS
 * request that is none, or of an origin that is not allowed, gets nothing by this. */
void gc_cors_apply_preflight(request_rec *r, const char *methods);

#endif
