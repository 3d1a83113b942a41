/* SPDX-License-Identifier: Apache-2.0
 * The configuration as a whole: secrets read, values held against each other,
 * so that `httpd -t` finds what could not work. Nothing here uses the network.
 */
#include <httpd.h>

#include <ap_mpm.h>
#include <apr_dbd.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <http_log.h>
#include <mod_dbd.h>
#include <mod_watchdog.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>
#include <unixd.h>

#include "config.h"
#include "core/code.h"
#include "core/jwk.h"
#include "core/json.h"
#include "core/token.h"
#include "core/unit.h"
#include "service.h"
#include "store/db.h"

APLOG_USE_MODULE(gemclone);

/* mod_dbd's own default of DBDMax. */
#define DBD_MAX 10

/* What libpq does not suffer on a file of passwords. */
#define OTHERS                                                                                     \
    (APR_FPROT_GREAD | APR_FPROT_GWRITE | APR_FPROT_GEXECUTE | APR_FPROT_WREAD | APR_FPROT_WWRITE  \
     | APR_FPROT_WEXECUTE)

enum { OTP_KEY_MIN = 16, SECRET_MAX = 65536 };

/* A program that tells a secret has so long. */
#define EXEC_PATIENCE apr_time_from_sec(10)

typedef struct {
    apr_pool_t *pool;
    server_rec *server;
    gc_config_t *config;
    int faults;
} check_t;

/* --- Telling ------------------------------------------------------------- */

static int is_in_server(const ap_directive_t *d, const server_rec *server)
{
    return !server->is_virtual
           || (d->line_num == (int)server->defn_line_number
               && strcmp(d->filename, server->defn_name) == 0);
}

/* The last directive of that name that counts for a server, or NULL. */
static const ap_directive_t *find_directive(const ap_directive_t *d, const char *name,
                                            const server_rec *server)
{
    const ap_directive_t *found = NULL, *inner = NULL;

    for (; d; d = d->next) {
        if (strcasecmp(d->directive, name) == 0) {
            found = d;
        } else if (strcasecmp(d->directive, "<VirtualHost") == 0 && server->is_virtual
                   && is_in_server(d, server)) {
            const ap_directive_t *there = find_directive(d->first_child, name, server);

            inner = there ? there : inner;
        }
    }
    return inner ? inner : found;
}

static void report(check_t *check, const ap_directive_t *where, const char *name, int fault,
                   const char *format, va_list args)
{
    const char *text = apr_pvsprintf(check->pool, format, args);

    if (!where) {
        where = find_directive(ap_conftree, name, check->server);
    }
    check->faults += fault;
    ap_log_error(APLOG_MARK, APLOG_STARTUP | (fault ? APLOG_ERR : APLOG_WARNING), 0, check->server,
                 "%s: %s%s: %s", fault ? "GEM0006" : "GEM0007", name,
                 where
                     ? apr_psprintf(check->pool, " (%s:%d)", where->filename, where->line_num)
                     : apr_psprintf(check->pool, " (server %s)",
                                    check->server->server_hostname ? check->server->server_hostname
                                                                   : "main"),
                 text);
}

__attribute__((format(printf, 3, 4))) static void fault(check_t *check, const char *name,
                                                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(check, NULL, name, 1, format, args);
    va_end(args);
}

__attribute__((format(printf, 3, 4))) static void warning(check_t *check, const char *name,
                                                          const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(check, NULL, name, 0, format, args);
    va_end(args);
}

__attribute__((format(printf, 3, 4))) static int
secret_fault(check_t *check, const gc_secret_t *secret, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(check, secret->where, secret->where->directive, 1, format, args);
    va_end(args);
    return 0;
}

/* --- Secrets ------------------------------------------------------------- */

static int read_file(check_t *check, gc_secret_t *secret, const char *name)
{
    const char *path = ap_server_root_relative(check->pool, name);
    apr_finfo_t info;
    apr_file_t *file;
    apr_size_t len;
    char *bytes;
    apr_status_t rv =
        apr_stat(&info, path, APR_FINFO_PROT | APR_FINFO_TYPE | APR_FINFO_SIZE, check->pool);

    if (rv != APR_SUCCESS || info.filetype != APR_REG) {
        return secret_fault(check, secret, "there is no file %s: make it, or mend the path", path);
    }
    if (info.protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE)) {
        return secret_fault(check, secret, "%s can be read by everybody: chmod o-rwx %s", path,
                            path);
    }
    if (info.size > SECRET_MAX) {
        return secret_fault(check, secret, "%s has more than %d bytes: that is no key", path,
                            SECRET_MAX);
    }
    if (apr_file_open(&file, path, APR_READ, 0, check->pool) != APR_SUCCESS) {
        return secret_fault(check, secret, "%s cannot be read by the user that httpd is started as",
                            path);
    }
    len = (apr_size_t)info.size;
    bytes = apr_palloc(check->pool, len + 1);
    rv = len ? apr_file_read_full(file, bytes, len, &len) : APR_SUCCESS;
    apr_file_close(file);
    if (rv != APR_SUCCESS) {
        return secret_fault(check, secret, "%s cannot be read", path);
    }
    secret->bytes = (unsigned char *)bytes;
    secret->len = len;
    return 1;
}

/* The first line that a program prints, or NULL: it could not be started, said
 * nothing, or took too long. */
static char *run_command(apr_pool_t *pool, char *const *argv)
{
    apr_procattr_t *attributes;
    apr_proc_t process;
    char line[SECRET_MAX];
    apr_status_t rv;

    if (apr_procattr_create(&attributes, pool) != APR_SUCCESS
        || apr_procattr_io_set(attributes, APR_NO_PIPE, APR_FULL_BLOCK, APR_NO_PIPE) != APR_SUCCESS
        || apr_procattr_cmdtype_set(attributes, APR_PROGRAM_PATH) != APR_SUCCESS
        || apr_proc_create(&process, argv[0], (const char *const *)argv, NULL, attributes, pool)
               != APR_SUCCESS) {
        return NULL;
    }
    apr_pool_note_subprocess(pool, &process, APR_KILL_AFTER_TIMEOUT);
    apr_file_pipe_timeout_set(process.out, EXEC_PATIENCE);
    rv = apr_file_gets(line, sizeof(line), process.out);
    apr_file_close(process.out);
    if (rv != APR_SUCCESS) {
        apr_proc_kill(&process, SIGKILL);
        return NULL;
    }
    return apr_pstrdup(pool, line);
}

static int read_command(check_t *check, gc_secret_t *secret, const char *command)
{
    apr_pool_t *pool;
    char **argv, *line;

    if (apr_tokenize_to_argv(command, &argv, check->pool) != APR_SUCCESS || !argv[0]) {
        return secret_fault(check, secret, "exec: wants a command");
    }
    apr_pool_create(&pool, check->pool); /* the program ends with it */
    line = run_command(pool, argv);
    line = line ? apr_pstrdup(check->pool, line) : NULL;
    apr_pool_destroy(pool);
    if (!line || !*line || *line == '\n') {
        return secret_fault(check, secret,
                            "%s gave no line within %d s: run it as the user that httpd is"
                            " started as",
                            argv[0], (int)apr_time_sec(EXEC_PATIENCE));
    }
    secret->bytes = (unsigned char *)line;
    secret->len = strlen(line);
    return 1;
}

static int read_secret(check_t *check, gc_secret_t *secret, apr_size_t least)
{
    int good;

    if (strncasecmp(secret->source, "file:", 5) == 0) {
        good = read_file(check, secret, secret->source + 5);
    } else if (strncasecmp(secret->source, "exec:", 5) == 0) {
        good = read_command(check, secret, secret->source + 5);
    } else {
        secret->bytes = (const unsigned char *)secret->source;
        secret->len = strlen(secret->source);
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, check->server,
            "GEM0004: %s (%s:%d): the secret stands in the configuration; use file: or exec:",
            secret->where->directive, secret->where->filename, secret->where->line_num);
        good = 1;
    }
    while (good && secret->len > 0
           && (secret->bytes[secret->len - 1] == '\n' || secret->bytes[secret->len - 1] == '\r')) {
        secret->len--;
    }
    if (good && secret->len < least) {
        good = secret_fault(check, secret,
                            "the secret has %lu bytes; it needs at least %lu"
                            " (openssl rand -base64 48 makes one)",
                            (unsigned long)secret->len, (unsigned long)least);
    }
    return good;
}

static void read_secrets(check_t *check, apr_array_header_t *secrets, apr_size_t least)
{
    int i;

    for (i = 0; secrets && i < secrets->nelts; i++) {
        read_secret(check, &APR_ARRAY_IDX(secrets, i, gc_secret_t), least);
    }
}

static void check_token_keys(check_t *check)
{
    const apr_array_header_t *keys = check->config->token_keys;
    int i;

    for (i = 0; keys && i < keys->nelts; i++) {
        const gc_secret_t *key = &APR_ARRAY_IDX(keys, i, gc_secret_t);
        const char *wrong = key->bytes && strcmp(key->kind, "HS256") != 0
                                ? gc_jwk_check(key->kind, key->bytes, key->len)
                                : NULL;

        if (wrong) {
            secret_fault(check, key, "key %s for %s %s", key->name, key->kind, wrong);
        }
    }
}

static void check_secrets(check_t *check)
{
    gc_config_t *c = check->config;

    if (!c->token_keys) {
        fault(check, "GemcloneTokenKey",
              "missing; write GemcloneTokenKey main file:/path/to/token.key");
    }
    if (!c->otp_key) {
        fault(check, "GemcloneOTPKey", "missing; write GemcloneOTPKey file:/path/to/otp.key");
    }
    if (!c->gemini_keys && c->worker) {
        fault(check, "GemcloneGeminiKey",
              "missing; write GemcloneGeminiKey file:/path/to/gemini.key, or GemcloneWorker Off");
    }
    read_secrets(check, c->token_keys, GC_TOKEN_KEY_MIN);
    check_token_keys(check);
    read_secrets(check, c->gemini_keys, 1);
    if (c->otp_key) {
        read_secret(check, c->otp_key, OTP_KEY_MIN);
    }
    if (c->sms_key) {
        read_secret(check, c->sms_key, 1);
    }
    if (c->redis_password) {
        read_secret(check, c->redis_password, 1);
    }
    if (c->stripe_key) {
        read_secret(check, c->stripe_key, 1);
    }
    read_secrets(check, c->stripe_secrets, 1);
}

/* --- Doors --------------------------------------------------------------- */

static int is_door(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *args = d->args;

    return strcasecmp(d->directive, "AuthType") == 0
           && strcasecmp(ap_getword_conf(pool, &args), GC_AUTH_TYPE) == 0;
}

/* The first AuthType Gemclone that counts for a server: in its own section or, with is_own 0, in
 * what all servers have. */
static const ap_directive_t *find_door(const check_t *check, const ap_directive_t *d, int is_own)
{
    const ap_directive_t *found = NULL;

    for (; d && !found; d = d->next) {
        if (strcasecmp(d->directive, "<VirtualHost") == 0) {
            found = is_own && check->server->is_virtual && is_in_server(d, check->server)
                        ? find_door(check, d->first_child, 0)
                        : NULL;
        } else if (!is_own) {
            found = is_door(check->pool, d) ? d : find_door(check, d->first_child, 0);
        }
    }
    return found;
}

__attribute__((format(printf, 3, 4))) static void
door_fault(check_t *check, const ap_directive_t *where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(check, where, "AuthType", 1, format, args);
    va_end(args);
}

static int has_keys(const server_rec *server)
{
    const gc_config_t *config = ap_get_module_config(server->module_config, &gemclone_module);

    return config && config->token_keys;
}

static int has_any_keys(const server_rec *server)
{
    while (server && !has_keys(server)) {
        server = server->next;
    }
    return server != NULL;
}

/* Whether tokens are looked at in this server, although the API is not mapped into it. What stands
 * in the main server is there in all of them, and may be meant for those that have keys. */
static int has_door(check_t *check)
{
    const ap_directive_t *own = find_door(check, ap_conftree, 1);
    const ap_directive_t *door = own ? own : find_door(check, ap_conftree, 0);
    int lacks_keys = own                          ? !has_keys(check->server)
                     : !check->server->is_virtual ? !has_any_keys(check->server)
                                                  : 0;

    if (door && lacks_keys) {
        door_fault(check, door,
                   GC_AUTH_TYPE
                   ", but nothing says whose tokens are good here; map the API into this"
                   " host, or write GemcloneTokenKey and what goes with it");
    }
    return door && has_keys(check->server);
}

/* --- Values -------------------------------------------------------------- */

static void fill_in_defaults(gc_config_t *c)
{
#define NUMBER(field, value) c->field = c->field == GC_UNSET ? (value) : c->field;
#define FLAG(field, name, value, text) NUMBER(field, value)
#define INTEGER(field, name, value, least, most, text) NUMBER(field, value)
#define DURATION(field, name, value, least, most, text) NUMBER(field, value)
#define SIZE(field, name, value, least, most, text) NUMBER(field, value)
#define TEXT(field, name, value, text) c->field = c->field ? c->field : (value);
#define SECRET(field, name, text)
#define LIST(field, name, arguments, setter, text)
#include "config_list.h"
#undef NUMBER
#undef FLAG
#undef INTEGER
#undef DURATION
#undef SIZE
#undef TEXT
#undef SECRET
#undef LIST
}

/* The file itself need not be there yet. */
static void check_otp_log(check_t *check)
{
    const char *path = ap_server_root_relative(check->pool, check->config->otp_log);
    const char *dir = ap_make_dirstr_parent(check->pool, path);
    apr_finfo_t info;

    if (apr_stat(&info, dir, APR_FINFO_TYPE, check->pool) != APR_SUCCESS) {
        fault(check, "GemcloneOTPLog", "there is no directory %s: make it, or mend the path", dir);
    } else if (apr_stat(&info, path, APR_FINFO_TYPE, check->pool) == APR_SUCCESS
               && info.filetype == APR_DIR) {
        fault(check, "GemcloneOTPLog", "%s is a directory: name a file in it", path);
    }
}

static int can_read(apr_pool_t *pool, const char *path)
{
    apr_file_t *file;

    if (apr_file_open(&file, path, APR_READ, 0, pool) != APR_SUCCESS) {
        return 0;
    }
    apr_file_close(file);
    return 1;
}

static void check_gateway(check_t *check, const gc_sms_settings_t *settings)
{
    gc_config_t *c = check->config;
    const char *directive, *wrong = gc_sms_check(check->pool, settings, &directive);

    if (wrong) {
        fault(check, directive, "%s", wrong);
    }
    if (settings->kind == GC_SMS_VERIFY && c->otp_reveal) {
        fault(check, "GemcloneOTPReveal",
              "cannot be On with GemcloneOTPDelivery twilio-verify: the codes are Twilio's own");
    }
    if (c->sms_ca_file) {
        c->sms_ca_file = ap_server_root_relative(check->pool, c->sms_ca_file);
        if (!can_read(check->pool, c->sms_ca_file)) {
            fault(check, "GemcloneSMSCAFile", "%s cannot be read", c->sms_ca_file);
        }
    }
}

static void check_delivery(check_t *check)
{
    const gc_config_t *c = check->config;
    const gc_sms_settings_t *settings = gc_service_sms_settings(check->pool, c);

    if (settings) {
        check_gateway(check, settings);
        return;
    }
    if (strcasecmp(c->otp_delivery, "reveal") == 0) {
        if (!c->otp_reveal) {
            fault(
                check, "GemcloneOTPDelivery",
                "reveal brings codes to nobody but whoever asked for them; if that is meant, write"
                " GemcloneOTPReveal On as well");
        }
        return;
    }
    if (strcasecmp(c->otp_delivery, "log") != 0) {
        fault(check, "GemcloneOTPDelivery",
              "'%s' is not known; write log, reveal, twilio, twilio-verify or webhook",
              c->otp_delivery);
    } else if (!gc_config_is_none(c->otp_log)) {
        check_otp_log(check);
    } else if (!c->otp_reveal) {
        warning(check, "GemcloneOTPDelivery",
                "log without GemcloneOTPLog: one-time codes reach nobody; name a file there");
    }
}

/* What all children together may take for hashing, beside the memory that there is. */
static void check_passwords(check_t *check)
{
    const gc_config_t *c = check->config;
    int children = 1;
    double most, memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children);
    most = (double)children * (double)c->password_hashes * (double)c->password_memory;
    if (memory > 0 && most > memory / 2) {
        warning(check, "GemclonePasswordHashes",
                "%d children that hash %" APR_INT64_T_FMT
                " passwords at once may take %.0f MiB, more than half of this machine's %.0f MiB;"
                " lower it, or GemclonePasswordMemory",
                children, c->password_hashes, most / (1024 * 1024), memory / (1024 * 1024));
    }
}

static void check_accounts(check_t *check)
{
    const gc_config_t *c = check->config;
    apr_size_t digits = strlen(c->country_code) - 1;

    if (c->country_code[0] != '+' || digits < 1 || digits > 4 || c->country_code[1] == '0'
        || strspn(c->country_code + 1, "0123456789") != digits) {
        fault(check, "GemcloneCountryCode", "'%s' is no country code; write one like +1 or +91",
              c->country_code);
    }
    check_delivery(check);
    check_passwords(check);
    if (c->otp_window < c->otp_lifetime) {
        fault(check, "GemcloneOTPWindow",
              "shorter than GemcloneOTPLifetime, which would give a code more tries than"
              " GemcloneOTPTries; make it at least as long");
    }
    if (c->otp_reveal) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, check->server,
            "GEM0003: GemcloneOTPReveal is On: whoever knows a phone number can sign in with it");
    }
}

static void check_model(check_t *check, const char *directive, const char *model)
{
    if (!gc_gemini_model_is_valid(model)) {
        fault(check, directive, "'%s' is no name of a model; write one like gemini-3.8-flash",
              model);
    }
}

/* One directive's share of the settings at a time: what is wrong is that one's fault. */
static void check_gemini_settings(check_t *check)
{
    static const char *const directives[] = {"GemcloneGeminiURL", "GemcloneGeminiThinking",
                                             "GemcloneGeminiGeneration", "GemcloneGeminiSafety"};
    gc_gemini_settings_t all;
    const char *wrong = NULL;
    int i;

    gc_service_gemini_settings(check->pool, check->config, &all);
    for (i = 0; !wrong && i < 4; i++) {
        gc_gemini_settings_t share = all;

        share.thinking = i == 1 ? all.thinking : NULL;
        share.generation = i == 2 ? all.generation : NULL;
        share.safety = i == 3 ? all.safety : NULL;
        wrong = gc_gemini_settings_check(check->pool, &share);
        if (wrong) {
            fault(check, directives[i], "%s", wrong);
        }
    }
}

static void check_gemini(check_t *check)
{
    gc_config_t *c = check->config;
    int i;

    check_model(check, "GemcloneGeminiModel", c->gemini_model);
    check_gemini_settings(check);
    if (c->system_prompt && !gc_json_takes(c->system_prompt)) {
        fault(check, "GemcloneSystemPrompt", "is not UTF-8: save the configuration as that");
    }
    if (!gc_config_is_none(c->gemini_fallback)) {
        check_model(check, "GemcloneGeminiFallback", c->gemini_fallback);
    }
    for (i = 0; c->gemini_models && i < c->gemini_models->nelts; i++) {
        check_model(check, "GemcloneGeminiModels",
                    APR_ARRAY_IDX(c->gemini_models, i, gc_setting_t).value);
    }
    if (c->gemini_ca_file) {
        c->gemini_ca_file = ap_server_root_relative(check->pool, c->gemini_ca_file);
        if (!can_read(check->pool, c->gemini_ca_file)) {
            fault(check, "GemcloneGeminiCAFile", "%s cannot be read", c->gemini_ca_file);
        }
    }
    if (c->gemini_connect > c->gemini_total || c->gemini_first > c->gemini_total) {
        fault(check, "GemcloneGeminiTotalTimeout",
              "shorter than GemcloneGeminiConnectTimeout or GemcloneGeminiFirstTokenTimeout,"
              " which it includes; make it longer, or those shorter");
    }
}

static void check_page(check_t *check, const char *directive, const char *url)
{
    if (!url) {
        fault(check, directive, "missing; write %s https://your.site/page", directive);
    } else if (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0) {
        fault(check, directive, "%s is no address of a page: https://...", url);
    }
}

static void check_cors(check_t *check)
{
    const gc_config_t *c = check->config;

    if (c->cors_credentials && !c->cors_origins) {
        warning(check, "GemcloneCORSCredentials",
                "On without GemcloneCORSOrigin, which names the origins that it is for");
    } else if (c->cors_credentials && gc_config_setting(c->cors_origins, "*")) {
        fault(check, "GemcloneCORSCredentials",
              "On, but GemcloneCORSOrigin is *: no browser sends credentials to whoever takes any"
              " origin; name the origins there, or write Off");
    }
}

/* All of it or nothing: who pays without an event coming back has paid for nothing. */
static void check_stripe(check_t *check)
{
    gc_config_t *c = check->config;
    gc_stripe_settings_t settings;
    const char *why;

    if (!c->stripe_key) {
        if (c->stripe_secrets || c->stripe_price) {
            fault(check, "GemcloneStripeKey",
                  "missing; write GemcloneStripeKey file:/path/to/stripe.key");
        }
        return;
    }
    if (!c->stripe_secrets) {
        fault(check, "GemcloneStripeWebhookSecret",
              "missing: without it no event of Stripe's can be believed; write"
              " GemcloneStripeWebhookSecret file:/path/to/webhook.secret");
    }
    if (!c->stripe_price) {
        fault(check, "GemcloneStripePrice", "missing; write GemcloneStripePrice price_...");
    } else if (!gc_stripe_is_id(c->stripe_price)) {
        fault(check, "GemcloneStripePrice", "%s is no id of a price: price_...", c->stripe_price);
    }
    check_page(check, "GemcloneStripeSuccessURL", c->stripe_success);
    check_page(check, "GemcloneStripeCancelURL", c->stripe_cancel);
    check_page(check, "GemcloneStripeReturnURL", c->stripe_return);
    gc_service_stripe_settings(check->pool, c, &settings);
    if (settings.key && (why = gc_stripe_check(check->pool, &settings))) {
        fault(check, "GemcloneStripeKey", "%s", why);
    }
    if (c->stripe_ca_file) {
        c->stripe_ca_file = ap_server_root_relative(check->pool, c->stripe_ca_file);
        if (!can_read(check->pool, c->stripe_ca_file)) {
            fault(check, "GemcloneStripeCAFile", "%s cannot be read", c->stripe_ca_file);
        }
    }
}

static void check_redis(check_t *check)
{
    const gc_config_t *c = check->config;
    gc_redis_options_t options = {0};

    if (!gc_config_is_none(c->redis)
        && gc_redis_url_parse(check->pool, c->redis, &options) != APR_SUCCESS) {
        /* The value is not shown: a password may stand in it. */
        fault(check, "GemcloneRedis",
              "not of the form redis://host:6379/0 or unix:/path"
              " (a password goes into GemcloneRedisPassword)");
    }
    if (c->redis_username && !c->redis_password) {
        fault(check, "GemcloneRedisUsername", "needs GemcloneRedisPassword beside it");
    }
    if (gc_config_is_none(c->redis) && c->redis_password) {
        fault(check, "GemcloneRedisPassword", "there is no GemcloneRedis that it could be for");
    }
}

/* libpq makes little of a file of passwords that it cannot use, and Postgres may do without one. */
static void check_passfile(check_t *check, const char *path)
{
    apr_finfo_t info;
    apr_status_t rv =
        apr_stat(&info, path, APR_FINFO_PROT | APR_FINFO_TYPE | APR_FINFO_USER, check->pool);

    if (rv != APR_SUCCESS || info.filetype != APR_REG) {
        warning(check, "DBDParams", "there is no file %s: make it, or mend the path of passfile",
                path);
    } else if (info.protection & OTHERS) {
        warning(check, "DBDParams",
                "%s can be read by others, and is not used for that: chmod 600 %s", path, path);
    } else if (geteuid() == 0 && info.user != ap_unixd_config.user_id) {
        warning(check, "DBDParams",
                "%s is another user's than the one that httpd's children run as, who connect: chown"
                " it to %s",
                path, ap_unixd_config.user_name);
    }
}

/* The string that mod_dbd hands to libpq. */
static void check_params(check_t *check, const ap_directive_t *params)
{
    const char *args = params->args;
    gc_db_target_t target = gc_db_target(check->pool, ap_getword_conf(check->pool, &args));

    if (target.fault) {
        fault(check, "DBDParams",
              "%s; write \"host=... dbname=... user=gemclone connect_timeout=2\"",
              apr_strtok(apr_pstrdup(check->pool, target.fault), "\n", &(char *){NULL}));
        return;
    }
    if (!target.connect_timeout) {
        warning(check, "DBDParams",
                "without connect_timeout a server that does not answer holds up requests for"
                " minutes; add connect_timeout=2");
    }
    if (target.passfile) {
        check_passfile(check, target.passfile);
    }
}

/* mod_dbd's settings are its own: what it was told is read from the configuration. */
static void check_database(check_t *check)
{
    const gc_config_t *c = check->config;
    const ap_directive_t *driver = find_directive(ap_conftree, "DBDriver", check->server);
    const ap_directive_t *params = find_directive(ap_conftree, "DBDParams", check->server);
    const ap_directive_t *most = find_directive(ap_conftree, "DBDMax", check->server);
    apr_int64_t max = DBD_MAX;

    if (!APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open)) {
        fault(check, "DBDriver",
              "mod_dbd is not loaded; write LoadModule dbd_module modules/mod_dbd.so");
        return;
    }
    if (!driver || strcasecmp(driver->args, "pgsql") != 0) {
        fault(check, "DBDriver",
              "the database must be Postgres; write DBDriver pgsql, and DBDParams"
              " \"host=... dbname=... user=gemclone connect_timeout=2\"");
    }
    if (!params) {
        fault(check, "DBDParams",
              "missing; write DBDParams \"host=... dbname=... user=gemclone connect_timeout=2\"");
    } else {
        check_params(check, params);
    }
    if (most && gc_unit_integer(most->args, &max) != APR_SUCCESS) {
        return; /* mod_dbd tells */
    }
    if (max < c->db_connections) {
        fault(check, "GemcloneDatabaseConnections",
              "%" APR_INT64_T_FMT " is more than the %" APR_INT64_T_FMT " that DBDMax allows;"
              " lower the one or raise the other",
              c->db_connections, max);
    }
}

static void check_work(check_t *check)
{
    const gc_config_t *c = check->config;

    if (!APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance)) {
        fault(
            check, "GemcloneEngine",
            "mod_watchdog is not loaded; write LoadModule watchdog_module modules/mod_watchdog.so");
    }
    if (c->lease < 2 * c->db_timeout) {
        warning(
            check, "GemcloneLease",
            "less than twice GemcloneDatabaseTimeout: one slow statement may cost a process its jobs");
    }
    if (gc_config_tracing(c->trace_parent) < 0) {
        fault(check, "GemcloneTraceParent", "'%s' is not known; write Off, Accept or Generate",
              c->trace_parent);
    }
    if (strlen(c->site) > 64) {
        fault(check, "GemcloneSite", "longer than 64 characters");
    }
}

/* mod_mpm_event's own default. */
#define WORKER_FACTOR 2.0

/* Descriptors that a child has beside those that are counted below. */
enum { OTHER_FILES = 64 };

/* What a child can take of streams that cost no thread: connections and open files. */
static void check_suspended(check_t *check, int threads)
{
    const gc_config_t *c = check->config;
    const ap_directive_t *factor =
        find_directive(ap_conftree, "AsyncRequestWorkerFactor", check->server);
    double places = threads * (factor ? strtod(factor->args, NULL) : WORKER_FACTOR);
    apr_int64_t files = c->max_streams + threads + c->db_connections + c->redis_connections
                        + c->threads + OTHER_FILES;
    struct rlimit limit;

    if (places < (double)c->max_streams) {
        warning(check, "GemcloneMaxStreams",
                "a child takes %.0f connections beside its threads: for %" APR_INT64_T_FMT
                " streams write AsyncRequestWorkerFactor %" APR_INT64_T_FMT
                ", or lower GemcloneMaxStreams",
                places, c->max_streams, (c->max_streams + threads - 1) / threads);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && limit.rlim_cur < (rlim_t)files) {
        warning(check, "GemcloneMaxStreams",
                "a child may open %lu files and needs %" APR_INT64_T_FMT
                " for so many streams; raise the limit (ulimit -n, or LimitNOFILE of the service),"
                " or lower GemcloneMaxStreams",
                (unsigned long)limit.rlim_cur, files);
    }
}

static void check_streams(check_t *check)
{
    int is_async = 0, threads = 1;

    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    if (is_async && check->config->max_streams > 0 && threads > 0) {
        check_suspended(check, threads);
    }
}

int gc_config_check(apr_pool_t *pool, server_rec *main)
{
    const gc_config_t *done = NULL;
    server_rec *server;
    int faults = 0;

    for (server = main; server; server = server->next) {
        check_t check = {.pool = pool, .server = server};

        check.config = ap_get_module_config(server->module_config, &gemclone_module);
        if (!check.config || (!gc_config_is_mapped(server) && !has_door(&check))) {
            faults += check.faults;
            continue;
        }
        gc_config_use(server);
        if (check.config == done) {
            continue;
        }
        if (server == main) {
            done = check.config; /* virtual hosts without settings of their own share it */
        }
        fill_in_defaults(check.config);
        check_secrets(&check);
        check_accounts(&check);
        check_cors(&check);
        check_gemini(&check);
        check_stripe(&check);
        check_redis(&check);
        check_database(&check);
        check_work(&check);
        check_streams(&check);
        faults += check.faults;
    }
    return faults ? HTTP_INTERNAL_SERVER_ERROR : OK;
}
