/* SPDX-License-Identifier: Apache-2.0
 * The files of this directory, by their names.
 */
#include "www.h"

#include <string.h>

const gc_www_file_t *gc_www_find(const char *name, apr_size_t len)
{
    const gc_www_file_t *file;

    for (file = gc_www_files; file->name; file++) {
        if (strlen(file->name) == len && memcmp(file->name, name, len) == 0) {
            return file;
        }
    }
    return NULL;
}
