/* SPDX-License-Identifier: Apache-2.0
 * The files of this directory, by their names.
 */
#include "www.h"

#include <string.h>

const gc_www_file_t *gc_www_find(const char *name)
{
    const gc_www_file_t *file;

    for (file = gc_www_files; file->name; file++) {
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}
