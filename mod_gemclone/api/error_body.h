/* SPDX-License-Identifier: Apache-2.0
 * Errors that httpd itself answers under our addresses, as problems: a request
 * line it cannot read, an encoded slash, a header too long, another module's 403.
 */
#ifndef GC_ERROR_BODY_H
#define GC_ERROR_BODY_H

/* Registers the hook and the output filter. */
void gc_error_body_register(void);

#endif
