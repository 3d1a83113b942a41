/* SPDX-License-Identifier: Apache-2.0
 * What is sent as it is: the files of this directory, which the build puts into the module.
 */
#ifndef GC_WWW_H
#define GC_WWW_H

#include <apr.h>

typedef struct gc_www_file_t {
    const char *name; /* without a directory: no two are called alike */
    const char *type; /* for Content-Type */
    const unsigned char *bytes;
    apr_size_t len;
} gc_www_file_t;

/* Every file; the last one has no name. */
extern const gc_www_file_t gc_www_files[];

/* The file of a name of so many bytes, or NULL. */
const gc_www_file_t *gc_www_find(const char *name, apr_size_t len);

#endif
