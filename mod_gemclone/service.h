/* SPDX-License-Identifier: Apache-2.0
 * A child's working parts for one set of settings: what requests and jobs need.
 *
 * Virtual hosts that share all settings, mod_dbd's too, share a service.
 */
#ifndef GC_SERVICE_H
#define GC_SERVICE_H

#include "config.h"
#include "core/code.h"
#include "core/ended.h"
#include "core/metrics.h"
#include "core/token.h"
#include "store/backlog.h"
#include "store/cache.h"
#include "store/db.h"
#include "store/sender.h"
#include "stream/stream.h"
#include "upstream/gemini.h"
#include "upstream/stripe_event.h"
#include "work/billing.h"
#include "work/courier.h"
#include "work/hashing.h"
#include "work/session_watch.h"
#include "work/worker.h"

typedef struct gc_service_t {
    server_rec *server;
    const gc_config_t *config;
    gc_log_t log;
    gc_metrics_t *metrics;
    gc_db_t *db;
    gc_redis_t *redis; /* or NULL */
    gc_cache_t *cache;
    gc_quota_t quota;
    gc_sender_t *sender;
    gc_backlog_t *backlog;
    gc_worker_t *worker;   /* or NULL: this child generates no replies */
    gc_billing_t *billing; /* or NULL: nothing is sold here */
    gc_stripe_secret_t
        *stripe_secrets; /* as many as the configuration has; NULL: nothing is sold */
    int sells_live;      /* not in a sandbox of Stripe's */
    gc_hub_t *hub;
    gc_streams_t *streams;        /* or NULL: the companion does not run */
    gc_hashing_t *hashing;        /* or NULL: the companion does not run */
    gc_session_watch_t *watch;    /* likewise */
    gc_courier_t *courier;        /* likewise, or codes are not brought anywhere */
    gc_ended_t *ended;            /* sessions whose access tokens are refused */
    const gc_sms_settings_t *sms; /* or NULL: there is no gateway */
    int delivers;                 /* codes are brought somewhere: to the gateway, or into a file */
    gc_token_ring_t ring;
    gc_tracing_e tracing;
    const char *jwks; /* JSON: the public halves of its keys */
    gc_hash_t otp_key, refresh_key, delivery_key;
    apr_time_t swept, told_late; /* the sweeper's */
    int hears;                   /* of Redis; the loop's */
} gc_service_t;

/* What config tells of Gemini. The tables and texts belong to the pool or config. */
void gc_service_gemini_settings(apr_pool_t *pool, const gc_config_t *config,
                                gc_gemini_settings_t *settings);

/* The same for Stripe, with its key. */
void gc_service_stripe_settings(apr_pool_t *pool, const gc_config_t *config,
                                gc_stripe_settings_t *settings);

/* The same for the SMS gateway, in the pool; NULL: there is none. */
const gc_sms_settings_t *gc_service_sms_settings(apr_pool_t *pool, const gc_config_t *config);

/* Before the fork, as root: the memory that the children of this host share, and
 * the files of GemcloneOTPLog. */
apr_status_t gc_services_prepare(apr_pool_t *pconf, server_rec *main);

/* In a child: makes all services and starts the companion. They end with pchild.
 * Faults are logged; requests then get 503. */
void gc_services_start(apr_pool_t *pchild, server_rec *main);

/* In a child: the service of a server, or NULL. */
gc_service_t *gc_service_of(const server_rec *server);

/* In a child, any thread: its services, or none (NULL) as long as they are being made. */
const apr_array_header_t *gc_services(void); /* of gc_service_t * */

/* What the children of this host count in. */
const gc_metrics_shared_t *gc_services_counts(void);

/* In the parent: a child is no more. */
void gc_services_lost(pid_t child);

/* In a child that is to end: no further job is taken, and streams and running replies have
 * GemcloneDrainTimeout to end (graceful), or no time. Returns at once. */
void gc_services_drain(int graceful);

#endif
