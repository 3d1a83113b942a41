/* SPDX-License-Identifier: Apache-2.0
 * Pages for people.
 */
#ifndef GC_PAGES_H
#define GC_PAGES_H

#include "request.h"

/* The chat page, as an answer. */
int gc_pages_answer_chat(gc_request_t *q);

#endif
