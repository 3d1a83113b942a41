/* SPDX-License-Identifier: Apache-2.0
 * Log messages of the library, by stable id.
 */
#include "log.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    gc_log_level_e level;
} ids[GC_LOG_IDS] = {
#define X(id, level, meaning) [id] = {#id, GC_LOG_##level},
#include "log_list.h"
#undef X
};

void gc_log(const gc_log_t *log, gc_log_id_e id, const char *format, ...)
{
    char text[1000];
    va_list args;

    if (!log || !log->enabled(log->baton, ids[id].level)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log->write(log->baton, ids[id].level, ids[id].name, text);
}
