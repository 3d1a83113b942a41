/* SPDX-License-Identifier: Apache-2.0
 * Reading JSON that Gemini sent. */
#ifndef GC_UPSTREAM_GEMINI_JSON_H
#define GC_UPSTREAM_GEMINI_JSON_H

#include <apr.h>
#include <jansson.h>

/* Any thread. What does not have the expected type reads as absent, never as an error. */

/* Parses an object or an array. NULL when it is neither, is no valid UTF-8 or nests deeper than
 * Gemini ever does (Jansson recurses). The caller owns it. */
json_t *gc_gemini_json_load(const char *bytes, apr_size_t length)
    __attribute__((warn_unused_result));

/* The member of this name when it is a string, else "". Borrowed. */
const char *gc_gemini_json_string(const json_t *object, const char *name);

/* Puts the member of this name into `word` when it is a string that fits, of letters, digits and
 * `_.:/-` only: such a thing may be logged and stored. Otherwise `word` stays as it is. */
void gc_gemini_json_word(char *word, apr_size_t size, const json_t *object, const char *name);

/* The member of this name as a count within 0 and 2^31-1, else 0. */
int gc_gemini_json_count(const json_t *object, const char *name);

#endif
