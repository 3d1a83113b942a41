/* SPDX-License-Identifier: Apache-2.0
 * A child's working parts: made in child_init, ended with pchild.
 */
#include "service.h"

#include <apr_dbd.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_optional.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <errno.h>
#include <http_config.h>
#include <http_log.h>
#include <mod_dbd.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "api/json_shapes.h"
#include "core/jwk.h"
#include "core/json.h"
#include "core/rfc3339.h"
#include "core/unit.h"
#include "store/tracking.h"

APLOG_USE_MODULE(gemclone);

/* Seconds that the loop has for its first task, and that a child waits to hear which sessions have
 * ended. */
enum { BEGIN_PATIENCE = 10, WATCH_PATIENCE = 1 };

/* Memory that the children of this host share, made before the first fork. */
static struct {
    gc_cache_shared_t *cache;
    gc_streams_shared_t *streams;
    gc_backlog_shared_t *backlog;
    gc_metrics_shared_t *metrics;
} shared;

enum { SHARED = GC_CACHE_SHARED + GC_STREAMS_SHARED + GC_BACKLOG_SHARED };

/* Of this child. */
static struct {
    apr_hash_t *by_server;        /* server_rec * -> gc_service_t * */
    apr_array_header_t *services; /* gc_service_t *, each once */
    int place;                    /* for what it holds (core/metrics.h), or -1 */
    gc_companion_t *companion;    /* or NULL: it could not be started */
    apr_pool_t *loop_pool;        /* what the loop's thread alone may touch */
    int is_ready;                 /* atomic: what is above stays as it is */
    gc_loop_task_t begin, drain, hurry, stop, end;
    sem_t begun;
    int undrained; /* workers, and one for the child that is not stopped yet; the loop's */
    int is_draining, is_hurrying; /* drain, hurry is posted; atomic */
    int graceful;
} child;

static APR_OPTIONAL_FN_TYPE(ap_dbd_open) * dbd_open;
static APR_OPTIONAL_FN_TYPE(ap_dbd_close) * dbd_close;

/* --- Logging: the library's messages into ErrorLog ----------------------- */

static const int levels[] = {
    [GC_LOG_ERR] = APLOG_ERR,   [GC_LOG_WARNING] = APLOG_WARNING, [GC_LOG_NOTICE] = APLOG_NOTICE,
    [GC_LOG_INFO] = APLOG_INFO, [GC_LOG_DEBUG] = APLOG_DEBUG,
};

static int log_enabled(void *server, gc_log_level_e level)
{
    return APLOG_IS_LEVEL((server_rec *)server, levels[level]);
}

static void log_write(void *server, gc_log_level_e level, const char *id, const char *text)
{
    ap_log_error(APLOG_MARK, levels[level], 0, server, "%s: %s", id, text);
}

/* --- Connections: mod_dbd's ---------------------------------------------- */

static apr_status_t open_connection(void *server, apr_pool_t *pool, gc_db_lease_t *lease)
{
    ap_dbd_t *dbd = dbd_open(pool, server);

    if (!dbd) {
        return APR_EGENERAL;
    }
    lease->handle = dbd;
    lease->native = apr_dbd_native_handle(dbd->driver, dbd->handle);
    lease->pool = dbd->pool;
    return APR_SUCCESS;
}

static void close_connection(void *server, gc_db_lease_t *lease)
{
    dbd_close(server, lease->handle);
}

/* --- From configuration to options --------------------------------------- */

static apr_table_t *table_of(apr_pool_t *pool, const apr_array_header_t *settings)
{
    apr_table_t *table;
    int i;

    if (!settings) {
        return NULL;
    }
    table = apr_table_make(pool, settings->nelts);
    for (i = 0; i < settings->nelts; i++) {
        const gc_setting_t *s = &APR_ARRAY_IDX(settings, i, gc_setting_t);

        apr_table_setn(table, s->name, s->value);
    }
    return table;
}

void gc_service_gemini_settings(apr_pool_t *pool, const gc_config_t *config,
                                gc_gemini_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
    settings->base_url = config->gemini_url;
    settings->model = config->gemini_model;
    settings->thinking = config->gemini_thinking;
    settings->generation = table_of(pool, config->gemini_generation);
    settings->safety = table_of(pool, config->gemini_safety);
    settings->timeouts.connect = config->gemini_connect;
    settings->timeouts.first = config->gemini_first;
    settings->timeouts.idle = config->gemini_idle;
    settings->timeouts.total = config->gemini_total;
    settings->max_reply = (apr_size_t)config->max_reply;
}

static apr_interval_time_t redis_timeout(const gc_config_t *config, const char *which,
                                         apr_interval_time_t fallback)
{
    const char *text = gc_config_setting(config->redis_timeouts, which);
    apr_interval_time_t timeout = fallback;

    return text && gc_unit_duration(text, &timeout) == APR_SUCCESS ? timeout : fallback;
}

static const char *secret_text(apr_pool_t *pool, const gc_secret_t *secret)
{
    return secret ? apr_pstrmemdup(pool, (const char *)secret->bytes, secret->len) : NULL;
}

const gc_sms_settings_t *gc_service_sms_settings(apr_pool_t *pool, const gc_config_t *config)
{
    static const char *const kinds[] = {[GC_SMS_TWILIO] = "twilio",
                                        [GC_SMS_VERIFY] = "twilio-verify",
                                        [GC_SMS_WEBHOOK] = "webhook"};
    gc_sms_settings_t *settings = apr_palloc(pool, sizeof(*settings));
    int kind = 0;

    while (kind <= GC_SMS_WEBHOOK && strcasecmp(config->otp_delivery, kinds[kind]) != 0) {
        kind++;
    }
    *settings = (gc_sms_settings_t){.kind = kind,
                                    .base_url = config->sms_url,
                                    .account = config->sms_account,
                                    .key_id = config->sms_key_id,
                                    .key = secret_text(pool, config->sms_key),
                                    .from = config->sms_from,
                                    .service = config->sms_service,
                                    .text = config->sms_text,
                                    .timeouts = {.total = config->sms_timeout}};
    return kind <= GC_SMS_WEBHOOK ? settings : NULL;
}

void gc_service_stripe_settings(apr_pool_t *pool, const gc_config_t *config,
                                gc_stripe_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
    settings->base_url = config->stripe_url;
    settings->key = secret_text(pool, config->stripe_key);
    settings->version = config->stripe_version;
    settings->timeouts.total = config->stripe_timeout;
}

static apr_status_t redis_options(apr_pool_t *pool, const gc_service_t *s, gc_redis_options_t *o)
{
    const gc_config_t *c = s->config;

    memset(o, 0, sizeof(*o));
    o->username = c->redis_username;
    o->password = secret_text(pool, c->redis_password);
    o->timeout = redis_timeout(c, "total", GC_MS(200));
    o->connect_timeout = redis_timeout(c, "connect", GC_MS(100));
    o->connections = (int)c->redis_connections;
    o->log = &s->log;
    o->metrics = s->metrics;
    return gc_redis_url_parse(pool, c->redis, o);
}

static const char *const *key_texts(apr_pool_t *pool, const apr_array_header_t *keys)
{
    const char **texts = apr_palloc(pool, sizeof(*texts) * (apr_size_t)keys->nelts);
    int i;

    for (i = 0; i < keys->nelts; i++) {
        texts[i] = secret_text(pool, &APR_ARRAY_IDX(keys, i, gc_secret_t));
    }
    return texts;
}

/* What no other process on any host is called. */
static const char *process_name(apr_pool_t *pool)
{
    char host[64] = "";

    gethostname(host, sizeof(host) - 1);
    return apr_psprintf(pool, "%s:%ld", host, (long)getpid());
}

static void worker_options(apr_pool_t *pool, const gc_service_t *s, gc_worker_options_t *o)
{
    const gc_config_t *c = s->config;

    memset(o, 0, sizeof(*o));
    o->db = s->db;
    o->companion = child.companion;
    o->log = &s->log;
    o->sink = gc_hub_sink(s->hub);
    o->backlog = s->backlog;
    o->metrics = s->metrics;
    o->site = c->site;
    o->name = process_name(pool);
    o->most = (int)c->max_replies;
    o->lease = c->lease;
    o->poll = c->poll;
    gc_service_gemini_settings(pool, c, &o->gemini);
    o->ca_file = c->gemini_ca_file;
    o->keys = key_texts(pool, c->gemini_keys);
    o->breaker = (gc_breaker_options_t){.log = &s->log,
                                        .metrics = s->metrics,
                                        .keys = c->gemini_keys->nelts,
                                        .faults = (int)c->gemini_breaker,
                                        .rest = c->gemini_rest};
    o->fallback = gc_config_is_none(c->gemini_fallback) ? NULL : c->gemini_fallback;
    o->system_prompt = c->system_prompt;
    o->context_tokens = (int)c->context_tokens;
    o->tries = (int)c->gemini_tries;
    o->backoff = c->gemini_backoff;
    o->most_kept = (apr_off_t)c->max_unstored;
}

/* --- One service --------------------------------------------------------- */

/* What others may verify access tokens with (RFC 7517): none of HS256's. */
static void make_jwks(apr_pool_t *pool, gc_service_t *s)
{
    json_t *keys = json_array();
    apr_size_t len;
    int i;

    for (i = 0; i < s->ring.keys->nelts; i++) {
        const gc_token_key_t *key = &APR_ARRAY_IDX(s->ring.keys, i, gc_token_key_t);

        if (key->public_pem) {
            json_array_append_new(keys,
                                  gc_jwk_json(pool, key->kid, key->algorithm, key->public_pem));
        }
    }
    s->jwks = gc_json_text(pool, gc_json_own(pool, json_pack("{s:o}", "keys", keys)), &len);
}

static void make_ring(apr_pool_t *pool, gc_service_t *s)
{
    const apr_array_header_t *secrets = s->config->token_keys;
    int i;

    s->ring.issuer = s->config->token_issuer;
    s->ring.keys = apr_array_make(pool, secrets->nelts, sizeof(gc_token_key_t));
    for (i = 0; i < secrets->nelts; i++) {
        const gc_secret_t *secret = &APR_ARRAY_IDX(secrets, i, gc_secret_t);

        gc_token_key_t key = {secret->name, secret->kind, secret->bytes, secret->len, NULL};

        /* Without memory it verifies nothing, and signs nothing that verifies. */
        if (strcmp(secret->kind, "HS256") != 0
            && gc_jwk_public(pool, secret->bytes, secret->len, &key.public_pem) != APR_SUCCESS) {
            key.public_pem = "";
        }
        APR_ARRAY_PUSH(s->ring.keys, gc_token_key_t) = key;
    }
    make_jwks(pool, s);
    gc_code_key(s->config->otp_key->bytes, s->config->otp_key->len, &s->otp_key);
    gc_code_derive(&s->otp_key, "refresh", &s->refresh_key);
    gc_code_derive(&s->otp_key, "delivery", &s->delivery_key);
}

static void make_stripe_secrets(apr_pool_t *pool, gc_service_t *s)
{
    const apr_array_header_t *secrets = s->config->stripe_secrets;
    int i;

    if (!s->config->stripe_key) {
        return;
    }
    s->sells_live = gc_stripe_is_live(secret_text(pool, s->config->stripe_key));
    s->stripe_secrets = apr_palloc(pool, sizeof(*s->stripe_secrets) * (apr_size_t)secrets->nelts);
    for (i = 0; i < secrets->nelts; i++) {
        const gc_secret_t *secret = &APR_ARRAY_IDX(secrets, i, gc_secret_t);

        s->stripe_secrets[i] = (gc_stripe_secret_t){secret->bytes, secret->len};
    }
}

static apr_int64_t quota_of(const gc_config_t *config, const char *tier, apr_int64_t fallback)
{
    const char *text = gc_config_setting(config->quotas, tier);
    apr_int64_t prompts = fallback;

    if (text && gc_unit_integer(text, &prompts) != APR_SUCCESS) {
        prompts = -1; /* unlimited */
    }
    return prompts;
}

static apr_status_t make_cache(apr_pool_t *pool, gc_service_t *s)
{
    gc_cache_options_t options = {.shared = shared.cache,
                                  .metrics = s->metrics,
                                  .prefix = s->config->redis_prefix,
                                  .ttl = s->config->cache_ttl,
                                  .near_bytes = (apr_size_t)s->config->cache_size};
    gc_redis_options_t redis;
    apr_status_t rv = APR_SUCCESS;

    if (!gc_config_is_none(s->config->redis)) {
        rv = redis_options(pool, s, &redis);
        if (rv == APR_SUCCESS) {
            rv = gc_redis_create(pool, &redis, &s->redis);
        }
        options.redis = s->redis;
    }
    return rv == APR_SUCCESS ? gc_cache_create(pool, &options, &s->cache) : rv;
}

static apr_status_t make_sender(apr_pool_t *pool, gc_service_t *s)
{
    gc_sender_options_t options = {.db = s->db,
                                   .site = s->config->site,
                                   .quota = s->quota,
                                   .owed = s->config->max_user_backlog,
                                   .patience = s->config->db_wait + s->config->db_timeout};

    return gc_sender_create(pool, &options, &s->sender);
}

static gc_service_t *make_service(apr_pool_t *pool, server_rec *server, const gc_config_t *config)
{
    gc_service_t *s = apr_pcalloc(pool, sizeof(*s));
    gc_db_options_t db = {.provider = {open_connection, close_connection, server},
                          .log = &s->log,
                          .metrics =
                              gc_metrics_create(pool, shared.metrics, child.place, config->site),
                          .timeout = config->db_timeout,
                          .wait = config->db_wait,
                          .connections = (int)config->db_connections};

    s->server = server;
    s->config = config;
    s->tracing = gc_config_tracing(config->trace_parent);
    s->log = (gc_log_t){log_enabled, log_write, server};
    s->metrics = db.metrics;
    s->quota = (gc_quota_t){quota_of(config, "basic", 5), quota_of(config, "pro", -1)};
    make_ring(pool, s);
    make_stripe_secrets(pool, s);
    s->sms = gc_service_sms_settings(pool, config);
    s->delivers = s->sms || config->otp_log_file;
    s->backlog = gc_backlog_create(pool, shared.backlog, config->site);
    if (!s->backlog || gc_ended_create(pool, &s->ended) != APR_SUCCESS
        || gc_db_create(pool, &db, &s->db) != APR_SUCCESS || make_cache(pool, s) != APR_SUCCESS
        || make_sender(pool, s) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server, "GEM0002: a service could not be made");
        return NULL;
    }
    gc_metrics_change(s->metrics, GC_GAUGE_STREAMS_LIMIT, config->max_streams);
    gc_metrics_change(s->metrics, GC_GAUGE_LENT_LIMIT, config->db_connections);
    gc_metrics_change(s->metrics, GC_GAUGE_REDIS_WANTED, s->redis != NULL);
    return s;
}

/* --- Which server has which ---------------------------------------------- */

static const void *dbd_config(const server_rec *server)
{
    static module *dbd;

    if (!dbd) {
        dbd = ap_find_linked_module("mod_dbd.c");
    }
    return dbd ? ap_get_module_config(server->module_config, dbd) : NULL;
}

static gc_service_t *find_service(const gc_config_t *config, const server_rec *server)
{
    int i;

    for (i = 0; i < child.services->nelts; i++) {
        gc_service_t *s = APR_ARRAY_IDX(child.services, i, gc_service_t *);

        if (s->config == config && dbd_config(s->server) == dbd_config(server)) {
            return s;
        }
    }
    return NULL;
}

static void make_services(apr_pool_t *pool, server_rec *main)
{
    server_rec *server;

    child.by_server = apr_hash_make(pool);
    child.services = apr_array_make(pool, 2, sizeof(gc_service_t *));
    for (server = main; server; server = server->next) {
        const gc_config_t *config = ap_get_module_config(server->module_config, &gemclone_module);
        gc_service_t *s;

        if (!config || !gc_config_is_used(server)) {
            continue;
        }
        s = find_service(config, server);
        if (!s && (s = make_service(pool, server, config))) {
            APR_ARRAY_PUSH(child.services, gc_service_t *) = s;
        }
        if (s) {
            apr_hash_set(child.by_server, apr_pmemdup(pool, &server, sizeof(void *)),
                         sizeof(void *), s);
        }
    }
}

gc_service_t *gc_service_of(const server_rec *server)
{
    return child.by_server ? apr_hash_get(child.by_server, &server, sizeof(void *)) : NULL;
}

const apr_array_header_t *gc_services(void)
{
    return __atomic_load_n(&child.is_ready, __ATOMIC_ACQUIRE) ? child.services : NULL;
}

/* --- The companion: begins, drains, ends --------------------------------- */

static void changed_cb(void *baton, const char *key, apr_size_t len)
{
    const gc_service_t *s = baton;

    gc_loop_cache_changed(s->cache, key, len);
}

static void hears_cb(void *baton, int hears)
{
    gc_service_t *s = baton;

    gc_metrics_change(s->metrics, GC_GAUGE_REDIS_CONNECTED, !!hears - s->hears);
    s->hears = !!hears;
    gc_loop_cache_hears(s->cache, hears);
}

/* The link to Redis, and who hears of changes by it. */
static apr_status_t begin_link(gc_service_t *s, gc_link_t **link)
{
    gc_tracking_handler_t handler = {changed_cb, hears_cb, s};
    apr_status_t rv = gc_loop_link_start(
        child.loop_pool, gc_loop_base(gc_companion_loop(child.companion)), s->redis, link);

    if (rv == APR_SUCCESS) {
        gc_loop_tracking_start(child.loop_pool, *link,
                               gc_cache_version_prefix(s->cache, child.loop_pool), &handler);
    }
    return rv;
}

static apr_status_t begin_streams(gc_service_t *s, gc_link_t *link)
{
    const gc_config_t *c = s->config;
    gc_hub_options_t hub = {.companion = child.companion,
                            .db = s->db,
                            .log = &s->log,
                            .metrics = s->metrics,
                            .link = link,
                            .prefix = c->redis_prefix,
                            .describe = gc_message_describe,
                            .max_reply = (apr_size_t)c->max_reply,
                            .buffer = (apr_size_t)c->stream_buffer,
                            .heartbeat = c->stream_heartbeat,
                            .patience = s->server->timeout,
                            .poll = c->poll};
    gc_streams_options_t streams = {.loop = gc_companion_loop(child.companion),
                                    .most = c->max_streams,
                                    .most_blocking = c->blocking_streams,
                                    .buffer = (apr_size_t)c->stream_buffer,
                                    .drain = c->drain_timeout};
    apr_status_t rv = gc_loop_hub_start(child.loop_pool, &hub, &s->hub);

    if (rv == APR_SUCCESS) {
        streams.hub = s->hub;
        __atomic_store_n(&s->streams,
                         gc_loop_streams_create(child.loop_pool, &streams, shared.streams),
                         __ATOMIC_RELEASE);
    }
    return rv;
}

static apr_status_t begin_worker(gc_service_t *s)
{
    gc_worker_options_t options;
    gc_worker_t *worker;
    apr_status_t rv;

    worker_options(child.loop_pool, s, &options);
    rv = gc_loop_worker_start(child.loop_pool, &options, &worker);
    if (rv == APR_SUCCESS) {
        __atomic_store_n(&s->worker, worker, __ATOMIC_RELEASE);
    }
    return rv;
}

static void tier_changed_cb(void *baton, const gc_uuid_t *user)
{
    gc_service_t *s = baton;
    apr_pool_t *pool = gc_companion_pool();

    gc_cache_forget(s->cache, pool, user);
    apr_pool_destroy(pool);
}

static apr_status_t begin_billing(gc_service_t *s)
{
    gc_billing_options_t options = {.db = s->db,
                                    .companion = child.companion,
                                    .log = &s->log,
                                    .metrics = s->metrics,
                                    .name = process_name(child.loop_pool),
                                    .ca_file = s->config->stripe_ca_file,
                                    .price = s->config->stripe_price,
                                    .grace = s->config->billing_grace,
                                    .poll = s->config->poll,
                                    .works = (int)s->config->worker,
                                    .changed = tier_changed_cb,
                                    .baton = s};
    gc_billing_t *billing;
    apr_status_t rv;

    gc_service_stripe_settings(child.loop_pool, s->config, &options.stripe);
    rv = gc_loop_billing_start(child.loop_pool, &options, &billing);
    if (rv == APR_SUCCESS) {
        __atomic_store_n(&s->billing, billing, __ATOMIC_RELEASE);
    }
    return rv;
}

/* Codes, for the admin's eyes: into GemcloneOTPLog, and nowhere else. */
static void write_code_cb(void *baton, apr_pool_t *pool, const gc_delivery_t *delivery,
                          const char *code)
{
    gc_service_t *s = baton;
    const char *line = apr_psprintf(pool, "%s %s %s %s\n", gc_rfc3339(pool, apr_time_now()),
                                    delivery->e164, delivery->purpose, code);
    apr_size_t len = strlen(line);

    if (s->config->otp_log_file) {
        (void)apr_file_write(s->config->otp_log_file, line, &len);
    }
}

/* Only where codes go anywhere. */
static apr_status_t begin_courier(gc_service_t *s)
{
    gc_courier_options_t options = {.db = s->db,
                                    .companion = child.companion,
                                    .log = &s->log,
                                    .metrics = s->metrics,
                                    .site = s->config->site,
                                    .key = &s->delivery_key,
                                    .sms = s->sms,
                                    .ca_file = s->config->sms_ca_file,
                                    .budget = gc_config_limit(s->config, GC_LIMIT_OTP_BUDGET).most,
                                    .poll = s->config->poll,
                                    .works = (int)s->config->worker,
                                    .write = write_code_cb,
                                    .baton = s};
    gc_courier_t *courier;
    apr_status_t rv = gc_loop_courier_start(child.loop_pool, &options, &courier);

    if (rv == APR_SUCCESS) {
        __atomic_store_n(&s->courier, courier, __ATOMIC_RELEASE);
    }
    return rv;
}

static apr_status_t begin_accounts(gc_service_t *s, gc_link_t *link)
{
    gc_session_watch_options_t options = {.companion = child.companion,
                                          .db = s->db,
                                          .ended = s->ended,
                                          .link = link,
                                          .prefix = s->config->redis_prefix,
                                          .patience = s->config->db_timeout};
    gc_session_watch_t *watch;
    apr_status_t rv = gc_loop_session_watch_start(child.loop_pool, &options, &watch);

    if (rv == APR_SUCCESS) {
        __atomic_store_n(&s->watch, watch, __ATOMIC_RELEASE);
        __atomic_store_n(&s->hashing,
                         gc_loop_hashing_create(child.loop_pool, child.companion,
                                                (int)s->config->password_hashes),
                         __ATOMIC_RELEASE);
    }
    return rv == APR_SUCCESS && s->delivers ? begin_courier(s) : rv;
}

/* On the loop, first of all. */
static void begin_task(void *baton)
{
    int i;

    (void)baton;
    for (i = 0; i < child.services->nelts; i++) {
        gc_service_t *s = APR_ARRAY_IDX(child.services, i, gc_service_t *);
        gc_link_t *link = NULL;

        if ((s->redis && begin_link(s, &link) != APR_SUCCESS)
            || begin_streams(s, link) != APR_SUCCESS || begin_accounts(s, link) != APR_SUCCESS
            || (s->config->worker && begin_worker(s) != APR_SUCCESS)
            || (s->stripe_secrets && begin_billing(s) != APR_SUCCESS)) {
            gc_log(&s->log, GEM0002, "the companion lacks a part");
        }
    }
    sem_post(&child.begun);
}

/* A child's first request must find all parts. Nothing in begin_task waits for anybody. */
static apr_status_t begin(void)
{
    struct timespec deadline;
    int rv;

    sem_init(&child.begun, 0, 0);
    child.begin.call = begin_task;
    gc_loop_post(gc_companion_loop(child.companion), &child.begin);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += BEGIN_PATIENCE;
    while ((rv = sem_timedwait(&child.begun, &deadline)) != 0 && errno == EINTR) {
    }
    return rv == 0 ? APR_SUCCESS : APR_TIMEUP;
}

/* Without Postgres it begins all the same, since it may have answers in its cache. */
static void await_watches(void)
{
    int i;

    for (i = 0; i < child.services->nelts; i++) {
        gc_session_watch_t *watch = APR_ARRAY_IDX(child.services, i, gc_service_t *)->watch;

        if (watch) {
            gc_session_watch_await(watch, WATCH_PATIENCE);
        }
    }
}

static void end_task(void *baton)
{
    int i;

    (void)baton;
    for (i = 0; i < child.services->nelts; i++) {
        gc_service_t *s = APR_ARRAY_IDX(child.services, i, gc_service_t *);

        if (s->streams) {
            gc_loop_streams_close(s->streams);
        }
    }
    gc_loop_end(gc_companion_loop(child.companion));
}

/* The last of them ends the loop: later, since this may be called from inside a worker. */
static void drained_cb(void *baton)
{
    (void)baton;
    if (--child.undrained == 0) {
        child.end.call = end_task;
        gc_loop_post(gc_companion_loop(child.companion), &child.end);
    }
}

/* On the loop. A server that is stopped is killed within seconds: replies are
 * given back at once, and another process takes them. */
static void drain_all(int graceful)
{
    int i;

    for (i = 0; i < child.services->nelts; i++) {
        gc_service_t *s = APR_ARRAY_IDX(child.services, i, gc_service_t *);
        apr_interval_time_t patience = graceful ? s->config->drain_timeout : 0;

        if (s->hub) {
            gc_loop_hub_drain(s->hub, patience);
        }
        if (s->worker) {
            gc_loop_worker_drain(s->worker, patience, drained_cb, NULL);
        }
        if (s->billing) {
            gc_loop_billing_drain(s->billing, drained_cb, NULL);
        }
        if (s->courier) {
            gc_loop_courier_drain(s->courier, patience, drained_cb, NULL);
        }
    }
}

static void drain_task(void *baton)
{
    int i;

    (void)baton;
    child.undrained = 1; /* until stop_task */
    for (i = 0; i < child.services->nelts; i++) {
        const gc_service_t *s = APR_ARRAY_IDX(child.services, i, gc_service_t *);

        child.undrained += (s->worker != NULL) + (s->billing != NULL) + (s->courier != NULL);
    }
    drain_all(child.graceful);
}

/* A child that was to stop gracefully is now to stop at once. */
static void hurry_task(void *baton)
{
    (void)baton;
    drain_all(0);
}

static void stop_task(void *baton)
{
    drained_cb(baton);
}

void gc_services_drain(int graceful)
{
    gc_loop_t *loop = child.companion ? gc_companion_loop(child.companion) : NULL;

    if (loop && !__atomic_exchange_n(&child.is_draining, 1, __ATOMIC_ACQ_REL)) {
        child.graceful = graceful;
        child.drain.call = drain_task;
        gc_loop_post(loop, &child.drain);
    } else if (loop && !graceful && child.graceful
               && !__atomic_exchange_n(&child.is_hurrying, 1, __ATOMIC_ACQ_REL)) {
        child.hurry.call = hurry_task;
        gc_loop_post(loop, &child.hurry);
    }
}

/* A pre-cleanup of pchild: mod_dbd's pool is still there, no request thread is. The loop has run
 * until now, for their sake. */
static apr_status_t stop_cb(void *baton)
{
    (void)baton;
    gc_services_drain(child.graceful);
    child.stop.call = stop_task;
    gc_loop_post(gc_companion_loop(child.companion), &child.stop);
    gc_companion_join(child.companion);
    apr_pool_destroy(child.loop_pool); /* the loop's thread is no more: this one may */
    child.companion = NULL;
    return APR_SUCCESS;
}

/* The most threads that any service asks for, and one that may wait for Stripe: replies are stored
 * by the others. */
static int thread_count(void)
{
    int i, count = 1, sells = 0;

    for (i = 0; i < child.services->nelts; i++) {
        int wanted = (int)APR_ARRAY_IDX(child.services, i, gc_service_t *)->config->threads;

        count = wanted > count ? wanted : count;
        sells |= APR_ARRAY_IDX(child.services, i, gc_service_t *)->stripe_secrets != NULL;
    }
    return count + sells;
}

static apr_status_t start_companion(apr_pool_t *pchild)
{
    apr_status_t rv = gc_companion_start(pchild, thread_count(), &child.companion);

    if (rv == APR_SUCCESS) {
        rv = apr_pool_create_unmanaged_ex(&child.loop_pool, NULL, NULL);
    }
    if (rv == APR_SUCCESS) {
        apr_pool_pre_cleanup_register(pchild, NULL, stop_cb);
        rv = begin();
    }
    if (rv == APR_SUCCESS) {
        await_watches();
    }
    return rv;
}

void gc_services_start(apr_pool_t *pchild, server_rec *main)
{
    apr_status_t rv;

    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    child.graceful = 1;
    child.place = gc_metrics_enter(shared.metrics, (apr_uint32_t)getpid());
    make_services(pchild, main);
    __atomic_store_n(&child.is_ready, 1, __ATOMIC_RELEASE);
    if (child.services->nelts == 0) {
        return;
    }
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, main, "GEM0002: a library could not be started");
        return;
    }
    rv = start_companion(pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, main,
                     "GEM0002: the companion could not be started");
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main,
                 "GEM0001: the companion runs with the loop and %d threads", thread_count());
}

/* Codes are for the admin's eyes: nobody else may read the file. */
static apr_status_t open_otp_log(apr_pool_t *pconf, gc_config_t *config)
{
    const char *path =
        gc_config_is_none(config->otp_log) ? NULL : ap_server_root_relative(pconf, config->otp_log);

    return path && !config->otp_log_file
               ? apr_file_open(&config->otp_log_file, path, APR_WRITE | APR_CREATE | APR_APPEND,
                               APR_FPROT_UREAD | APR_FPROT_UWRITE, pconf)
               : APR_SUCCESS;
}

/* It outlives restarts: children of the old and the new configuration, who serve side by side for a
 * while, must hear of each other's changes. Under a name that tells its size: a restart may bring
 * another version of this module. The kernel gives it zeroed, page by page, when it is touched. */
static apr_status_t share_memory(apr_pool_t *process, const char *name, apr_size_t size,
                                 void **memory, int *is_new)
{
    const apr_size_t line = 64;
    char key[64];
    apr_shm_t *shm = NULL;
    apr_status_t rv = APR_SUCCESS;

    apr_snprintf(key, sizeof(key), "gemclone-%s-%lu", name, (unsigned long)size);
    apr_pool_userdata_get((void **)&shm, key, process);
    *is_new = !shm;
    if (!shm) {
        rv = apr_shm_create(&shm, size + line, NULL, process);
        if (rv == APR_SUCCESS) {
            /* With a copy of the key: at a restart this module may come back at another address. */
            apr_pool_userdata_set(shm, key, NULL, process);
        }
    }
    if (rv == APR_SUCCESS) {
        *memory = (void *)(((uintptr_t)apr_shm_baseaddr_get(shm) + line - 1) / line * line);
    }
    return rv;
}

static apr_status_t share_all(apr_pool_t *process)
{
    void *memory, *counts;
    int is_new;
    apr_status_t rv = share_memory(process, "shared", SHARED, &memory, &is_new);

    if (rv == APR_SUCCESS) {
        shared.streams = memory;
        shared.backlog = (gc_backlog_shared_t *)((char *)shared.streams + GC_STREAMS_SHARED);
        shared.cache = (gc_cache_shared_t *)((char *)shared.backlog + GC_BACKLOG_SHARED);
        rv = share_memory(process, "counts", gc_metrics_size(), &counts, &is_new);
    }
    if (rv == APR_SUCCESS) {
        shared.metrics = counts;
        if (is_new) {
            gc_metrics_begin(shared.metrics, apr_time_now());
        }
    }
    return rv;
}

const gc_metrics_shared_t *gc_services_counts(void)
{
    return shared.metrics;
}

void gc_services_lost(pid_t lost)
{
    if (shared.metrics) {
        gc_metrics_leave(shared.metrics, (apr_uint32_t)lost);
    }
}

apr_status_t gc_services_prepare(apr_pool_t *pconf, server_rec *main)
{
    server_rec *server;
    apr_status_t rv = share_all(main->process->pool);

    for (server = main; server && rv == APR_SUCCESS; server = server->next) {
        gc_config_t *config = ap_get_module_config(server->module_config, &gemclone_module);

        if (config && gc_config_is_used(server)) {
            rv = open_otp_log(pconf, config);
        }
    }
    return rv;
}
