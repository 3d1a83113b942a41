/* SPDX-License-Identifier: Apache-2.0
 * A log for unit tests, of any threads: it keeps the ids of what was said.
 */
#ifndef GC_LOG_SUPPORT_H
#define GC_LOG_SUPPORT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"

static struct {
    pthread_mutex_t mutex;
    char ids[4096]; /* "GEM0301 GEM0302 ": what was logged, in order */
} logged = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static inline int log_enabled_cb(void *baton, gc_log_level_e level)
{
    (void)baton, (void)level;
    return 1;
}

static inline void log_write_cb(void *baton, gc_log_level_e level, const char *id, const char *text)
{
    size_t len;

    (void)baton, (void)level, (void)text;
    pthread_mutex_lock(&logged.mutex);
    len = strlen(logged.ids);
    snprintf(logged.ids + len, sizeof(logged.ids) - len, "%s ", id);
    pthread_mutex_unlock(&logged.mutex);
}

static const gc_log_t log_sink = {log_enabled_cb, log_write_cb, NULL};

/* What was logged since the last call. */
static inline void check_logged(const char *ids)
{
    char taken[sizeof(logged.ids)];

    pthread_mutex_lock(&logged.mutex);
    memcpy(taken, logged.ids, sizeof(taken));
    logged.ids[0] = '\0';
    pthread_mutex_unlock(&logged.mutex);
    assert_string_equal(taken, ids);
}

static inline void forget_logged(void)
{
    pthread_mutex_lock(&logged.mutex);
    logged.ids[0] = '\0';
    pthread_mutex_unlock(&logged.mutex);
}

#endif
