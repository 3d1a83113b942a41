/* SPDX-License-Identifier: Apache-2.0
 * How many of Gemini's tokens a text takes, estimated.
 */
#ifndef GC_WEIGHT_H
#define GC_WEIGHT_H

/* About four bytes a token, rounded up, and one for the turn around it. NULL weighs nothing. */
int gc_weight(const char *text);

#endif
