/* SPDX-License-Identifier: Apache-2.0
 * Pages for people.
 */
#ifndef GC_PAGES_H
#define GC_PAGES_H

#include "request.h"

/* A page, as the answer at a location's own address. */
int gc_pages_answer_root(gc_request_t *q, const char *name);

#endif
