/* SPDX-License-Identifier: Apache-2.0
 * What fuzz targets share. A target looks at one input and returns 0; what does not hold ends the
 * process, as a crash does. Inputs that have several parts begin with a line of text, so that the
 * files of a corpus can be read and written by hand.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>

/* The target: each file defines one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))

void fuzz_broken(const char *file, int line, const char *condition) __attribute__((noreturn));

/* A pool for one input. The target destroys it: its memory then goes back to malloc, so that the
 * sanitizer sees who uses it later. */
apr_pool_t *fuzz_pool(void);

/* A terminated copy that has exactly the bytes it needs, so that the sanitizer sees reads beyond
 * it. It goes with the pool. */
char *fuzz_text(apr_pool_t *pool, const uint8_t *data, size_t size);

/* The same, of the first line, which data and size then leave behind. */
char *fuzz_line(apr_pool_t *pool, const uint8_t **data, size_t *size);

/* The next number of a line, which is left behind; otherwise where there is none. */
long fuzz_number(char **line, long otherwise);

/* How many of the bytes that are left come next, when sizes are the sizes of the pieces, which are
 * used in turns; without a good one, all. *next is where to go on, sizes at first. */
size_t fuzz_piece(char *sizes, char **next, size_t left);

/* Whether it is UTF-8 (RFC 3629) without U+0000. */
int fuzz_is_text(const char *bytes, size_t size);

#endif
