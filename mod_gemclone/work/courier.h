/* SPDX-License-Identifier: Apache-2.0
 * Brings one-time codes to the gateway, or into GemcloneOTPLog.
 *
 *   a thread: deliveries are claimed ─▶ the loop: the gateway is called ─▶ a thread: ended, or put
 * off
 *
 * A code that the gateway may have is not given to it again, unless it knows codes by their id
 * (upstream/sms.h). So a process that is killed while it calls loses a code at worst, and its owner
 * asks for another; none comes twice.
 */
#ifndef GC_COURIER_H
#define GC_COURIER_H

#include "companion.h"
#include "core/code.h"
#include "core/log.h"
#include "core/metrics.h"
#include "store/delivery.h"
#include "upstream/sms.h"

typedef struct gc_courier_options_t {
    gc_db_t *db;
    gc_companion_t *companion;
    const gc_log_t *log;
    gc_metrics_t *metrics; /* or NULL */
    const char *site;
    const gc_hash_t *key;         /* that codes are sealed with; lives as long as the courier */
    const gc_sms_settings_t *sms; /* NULL: codes are written with `write` */
    const char *ca_file;          /* or NULL: the system's authorities */
    apr_int64_t budget;           /* deliveries a day; < 0: any number */
    apr_interval_time_t poll;
    int works; /* at deliveries; else it only asks the gateway about codes */
    /* On a thread that may block: one code, for the admin's eyes. */
    void (*write)(void *baton, apr_pool_t *pool, const gc_delivery_t *delivery, const char *code);
    void *baton;
} gc_courier_options_t;

typedef struct gc_courier_t gc_courier_t;

/* Lives as long as the pool, which must be cleared on the loop's thread. */
GC_MUST_CHECK apr_status_t gc_loop_courier_start(apr_pool_t *pool,
                                                 const gc_courier_options_t *options,
                                                 gc_courier_t **courier);

const gc_courier_options_t *gc_courier_options(const gc_courier_t *courier);

/* Any thread: there is a new delivery. */
void gc_courier_poke(gc_courier_t *courier);

/* On the loop: calls the gateway once. The request must stay as it is until answered(baton, result,
 * body) is called, which it is in any case; result is NULL where the process stops. */
typedef void gc_courier_answered_t(void *baton, const gc_http_result_t *result,
                                   const gc_membuf_t *body);
void gc_loop_courier_call(gc_courier_t *courier, apr_pool_t *pool, const gc_http_request_t *request,
                          gc_courier_answered_t *answered, void *baton);

/* Takes no more deliveries; calls have so long to end. drained(baton) is called once, on the loop,
 * when nothing is under way. Again with less patience: that counts. */
void gc_loop_courier_drain(gc_courier_t *courier, apr_interval_time_t patience,
                           void (*drained)(void *baton), void *baton);

#endif
