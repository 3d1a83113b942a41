/* SPDX-License-Identifier: Apache-2.0
 * Log messages of the library, by stable id, without knowing where they go.
 */
#ifndef GC_LOG_H
#define GC_LOG_H

typedef enum {
    GC_LOG_ERR,
    GC_LOG_WARNING,
    GC_LOG_NOTICE,
    GC_LOG_INFO,
    GC_LOG_DEBUG
} gc_log_level_e;

/* The ids, GEM0001 and so on: what each one means is told in log_list.h. */
typedef enum {
#define X(id, level, meaning) id,
#include "log_list.h"
#undef X
    GC_LOG_IDS
} gc_log_id_e;

/* Where messages go. The sink may be called from any thread. */
typedef struct gc_log_t {
    int (*enabled)(void *baton, gc_log_level_e level);
    void (*write)(void *baton, gc_log_level_e level, const char *id, const char *text);
    void *baton;
} gc_log_t;

/* Formats as apr_snprintf does, at most 1,000 bytes. Arguments must never hold a
 * secret, a code, a token, a whole phone number or the text of a message. */
void gc_log(const gc_log_t *log, gc_log_id_e id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
