/* SPDX-License-Identifier: Apache-2.0
 * The directives: declared, read, merged. What they mean together is checked in
 * config_check.c.
 */
#include "config.h"

#include <apr_strings.h>
#include <apr_uri.h>
#include <http_core.h>
#include <string.h>
#include <strings.h>

#include "core/phone.h"
#include "core/rfc3339.h"
#include "core/unit.h"

extern module AP_MODULE_DECLARE_DATA gemclone_module;

static apr_array_header_t *mappings;
static apr_array_header_t *used; /* const server_rec * */

/* --- One line each: create and merge ------------------------------------- */

void *gc_config_create(apr_pool_t *pool, server_rec *server)
{
    gc_config_t *c = apr_pcalloc(pool, sizeof(*c));

    (void)server;
#define FLAG(field, name, value, text) c->field = GC_UNSET;
#define INTEGER(field, name, value, least, most, text) c->field = GC_UNSET;
#define DURATION(field, name, value, least, most, text) c->field = GC_UNSET;
#define SIZE(field, name, value, least, most, text) c->field = GC_UNSET;
#define TEXT(field, name, value, text)
#define SECRET(field, name, text)
#define LIST(field, name, arguments, setter, text)
#include "config_list.h"
#undef FLAG
#undef INTEGER
#undef DURATION
#undef SIZE
#undef TEXT
#undef SECRET
#undef LIST
    return c;
}

/* What the inner server says counts, whole: a list there replaces the outer one. */
void *gc_config_merge(apr_pool_t *pool, void *base, void *add)
{
    const gc_config_t *b = base, *a = add;
    gc_config_t *c = apr_pcalloc(pool, sizeof(*c));

#define NUMBER(field) c->field = a->field != GC_UNSET ? a->field : b->field;
#define POINTER(field) c->field = a->field ? a->field : b->field;
#define FLAG(field, name, value, text) NUMBER(field)
#define INTEGER(field, name, value, least, most, text) NUMBER(field)
#define DURATION(field, name, value, least, most, text) NUMBER(field)
#define SIZE(field, name, value, least, most, text) NUMBER(field)
#define TEXT(field, name, value, text) POINTER(field)
#define SECRET(field, name, text) POINTER(field)
#define LIST(field, name, arguments, setter, text) POINTER(field)
#include "config_list.h"
#undef NUMBER
#undef POINTER
#undef FLAG
#undef INTEGER
#undef DURATION
#undef SIZE
#undef TEXT
#undef SECRET
#undef LIST
    return c;
}

void *gc_location_create(apr_pool_t *pool, char *path)
{
    gc_location_t *l = apr_pcalloc(pool, sizeof(*l));

    (void)path;
    l->engine = -1;
    l->admin = -1;
    return l;
}

void *gc_location_merge(apr_pool_t *pool, void *base, void *add)
{
    const gc_location_t *b = base, *a = add;
    gc_location_t *l = apr_pmemdup(pool, b, sizeof(*l));

    if (a->engine != -1) {
        l->engine = a->engine;
        l->base = a->base;
    }
    if (a->admin != -1) {
        l->admin = a->admin;
        l->admin_base = a->admin_base;
    }
    if (a->requires) {
        l->requires = a->requires | (a->merges_requires ? b->requires : 0);
        l->merges_requires = a->merges_requires; /* as mod_authz_core has it */
    }
    return l;
}

/* --- Readers of single values -------------------------------------------- */

typedef enum { KIND_FLAG, KIND_INTEGER, KIND_DURATION, KIND_SIZE, KIND_TEXT, KIND_SECRET } kind_e;

/* What a directive's line in the list says, for the readers. */
typedef struct {
    apr_size_t offset;
    kind_e kind;
    apr_int64_t least, most;
} slot_t;

static void *field_of(cmd_parms *cmd, apr_size_t offset)
{
    return (char *)ap_get_module_config(cmd->server->module_config, &gemclone_module) + offset;
}

/* Server directives stand in no section but a virtual host. */
static const char *check_place(cmd_parms *cmd)
{
    return ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
}

/* A bound as an admin would write it. */
static const char *bound_text(apr_pool_t *pool, kind_e kind, apr_int64_t bound)
{
    if (kind == KIND_DURATION) {
        return bound % GC_SEC(1) ? apr_psprintf(pool, "%" APR_INT64_T_FMT "ms", bound / GC_MS(1))
                                 : apr_psprintf(pool, "%" APR_INT64_T_FMT "s", bound / GC_SEC(1));
    }
    return kind == KIND_SIZE && bound % 1024 == 0
               ? apr_psprintf(pool, "%" APR_INT64_T_FMT "K", bound / 1024)
               : apr_psprintf(pool, "%" APR_INT64_T_FMT, bound);
}

static const char *const units[] = {
    [KIND_INTEGER] = "a whole number",
    [KIND_DURATION] = "a duration such as 250ms, 15s, 5min, 1h or 7d",
    [KIND_SIZE] = "a size such as 512, 256K or 16M",
};

static const char *set_number(cmd_parms *cmd, void *location, const char *value)
{
    const slot_t *slot = cmd->info;
    apr_int64_t number = 0;
    apr_status_t rv = slot->kind == KIND_DURATION ? gc_unit_duration(value, &number)
                      : slot->kind == KIND_SIZE   ? gc_unit_size(value, &number)
                                                  : gc_unit_integer(value, &number);
    const char *misplaced = check_place(cmd);

    (void)location;
    if (misplaced) {
        return misplaced;
    }
    if (rv != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "%s takes %s, not '%s'", cmd->cmd->name, units[slot->kind],
                            value);
    }
    if (number < slot->least || number > slot->most) {
        return apr_psprintf(cmd->pool, "%s is %s; it must be from %s to %s", cmd->cmd->name, value,
                            bound_text(cmd->pool, slot->kind, slot->least),
                            bound_text(cmd->pool, slot->kind, slot->most));
    }
    *(apr_int64_t *)field_of(cmd, slot->offset) = number;
    return NULL;
}

static const char *set_flag(cmd_parms *cmd, void *location, int value)
{
    const slot_t *slot = cmd->info;
    const char *misplaced = check_place(cmd);

    (void)location;
    if (!misplaced) {
        *(apr_int64_t *)field_of(cmd, slot->offset) = value;
    }
    return misplaced;
}

static const char *set_text(cmd_parms *cmd, void *location, const char *value)
{
    const slot_t *slot = cmd->info;
    const char *misplaced = check_place(cmd);

    (void)location;
    if (!misplaced) {
        *(const char **)field_of(cmd, slot->offset) = value;
    }
    return misplaced;
}

static gc_secret_t *make_secret(cmd_parms *cmd, gc_secret_t *secret, const char *name,
                                const char *source)
{
    secret->name = name;
    secret->source = source;
    secret->where = cmd->directive;
    return secret;
}

static const char *set_secret(cmd_parms *cmd, void *location, const char *value)
{
    const slot_t *slot = cmd->info;
    const char *misplaced = check_place(cmd);

    (void)location;
    if (!misplaced) {
        *(gc_secret_t **)field_of(cmd, slot->offset) =
            make_secret(cmd, apr_pcalloc(cmd->pool, sizeof(gc_secret_t)), NULL, value);
    }
    return misplaced;
}

/* --- Readers of lists ---------------------------------------------------- */

static gc_config_t *config_of(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &gemclone_module);
}

static const char *push_secret(cmd_parms *cmd, apr_array_header_t **list, const char *name,
                               const char *source)
{
    if (!*list) {
        *list = apr_array_make(cmd->pool, 2, sizeof(gc_secret_t));
    }
    make_secret(cmd, apr_array_push(*list), name, source);
    return check_place(cmd);
}

static const char *push_setting(cmd_parms *cmd, apr_array_header_t **list, const char *name,
                                const char *value)
{
    gc_setting_t *setting;

    if (!*list) {
        *list = apr_array_make(cmd->pool, 4, sizeof(gc_setting_t));
    }
    setting = apr_array_push(*list);
    setting->name = name;
    setting->value = value;
    return check_place(cmd);
}

static const char *set_token_key(cmd_parms *cmd, void *location, const char *kid,
                                 const char *source, const char *algorithm)
{
    static const char *const algorithms[] = {"HS256", "RS256", "ES256", NULL};
    const apr_array_header_t *keys = config_of(cmd)->token_keys;
    const char *misplaced;
    int i;

    (void)location;
    if (strlen(kid) > 32
        || strspn(kid, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
               != strlen(kid)) {
        return "GemcloneTokenKey: a key id has at most 32 letters, digits, '-', '_' and '.'";
    }
    for (i = 0; keys && i < keys->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(keys, i, gc_secret_t).name, kid) == 0) {
            return apr_psprintf(cmd->pool, "GemcloneTokenKey: there is a key '%s' already", kid);
        }
    }
    for (i = 0; algorithm && algorithms[i] && strcmp(algorithm, algorithms[i]) != 0; i++) {
    }
    if (algorithm && !algorithms[i]) {
        return apr_psprintf(cmd->pool, "GemcloneTokenKey: '%s' is none of HS256, RS256 and ES256",
                            algorithm);
    }
    misplaced = push_secret(cmd, &config_of(cmd)->token_keys, kid, source);
    keys = config_of(cmd)->token_keys;
    APR_ARRAY_IDX(keys, keys->nelts - 1, gc_secret_t).kind = algorithm ? algorithm : algorithms[0];
    return misplaced;
}

static const char *set_gemini_key(cmd_parms *cmd, void *location, const char *source)
{
    (void)location;
    return push_secret(cmd, &config_of(cmd)->gemini_keys, NULL, source);
}

static const char *set_stripe_secret(cmd_parms *cmd, void *location, const char *source)
{
    (void)location;
    return push_secret(cmd, &config_of(cmd)->stripe_secrets, NULL, source);
}

static const char *set_quota(cmd_parms *cmd, void *location, const char *tier, const char *prompts)
{
    apr_int64_t number;

    (void)location;
    if (gc_config_tier(tier) < 0) {
        return apr_psprintf(cmd->pool, "GemcloneQuota: " GC_TIERS_ARE ", not '%s'", tier);
    }
    if (strcasecmp(prompts, "unlimited") != 0
        && (gc_unit_integer(prompts, &number) != APR_SUCCESS || number < 0
            || number > 1000000000)) {
        return apr_psprintf(
            cmd->pool, "GemcloneQuota: '%s' is neither a number of prompts nor unlimited", prompts);
    }
    return push_setting(cmd, &config_of(cmd)->quotas, tier, prompts);
}

static const char *set_limit(cmd_parms *cmd, void *location, const char *name, const char *most,
                             const char *window)
{
    gc_limit_e kind = gc_limit_of(name);
    apr_array_header_t **limits = &config_of(cmd)->limits;
    apr_int64_t number = -1, time = 0;
    int i;

    (void)location;
    if (kind == GC_LIMITS || kind == GC_LIMIT_OTP_TRY) { /* that is GemcloneOTPTries */
        const char *names = gc_limit_name(0);

        for (i = 1; i < GC_LIMITS; i++) {
            if (i != GC_LIMIT_OTP_TRY) {
                names = apr_pstrcat(cmd->pool, names, i < GC_LIMITS - 1 ? ", " : " and ",
                                    gc_limit_name(i), NULL);
            }
        }
        return apr_psprintf(cmd->pool, "GemcloneLimit: '%s' is none of %s", name, names);
    }
    if (strcasecmp(most, "unlimited") != 0
        && (gc_unit_integer(most, &number) != APR_SUCCESS || number < 1 || number > 1000000000)) {
        return apr_psprintf(
            cmd->pool, "GemcloneLimit: '%s' is neither a number from 1 to 1000000000 nor unlimited",
            most);
    }
    if (window
        && (gc_unit_duration(window, &time) != APR_SUCCESS || time < GC_SEC(1)
            || time > GC_DAY(31))) {
        return apr_psprintf(cmd->pool, "GemcloneLimit: '%s' is no duration from 1s to 31d", window);
    }
    if (window && kind == GC_LIMIT_OTP_BUDGET && time != GC_DAY(1)) {
        return "GemcloneLimit: otp-budget is for a day; leave its time out";
    }
    if (!window) {
        time = gc_limit_default(kind).window;
    }
    if (!*limits) {
        *limits = apr_array_make(cmd->pool, GC_LIMITS, sizeof(gc_limit_setting_t));
    }
    APR_ARRAY_PUSH(*limits, gc_limit_setting_t) = (gc_limit_setting_t){kind, {number, time}};
    return check_place(cmd);
}

gc_limit_t gc_config_limit(const gc_config_t *config, gc_limit_e kind)
{
    gc_limit_t limit = gc_limit_default(kind);
    int i;

    if (kind == GC_LIMIT_OTP_TRY) {
        return (gc_limit_t){config->otp_tries, config->otp_window};
    }
    for (i = 0; config->limits && i < config->limits->nelts; i++) {
        const gc_limit_setting_t *set = &APR_ARRAY_IDX(config->limits, i, gc_limit_setting_t);

        if (set->kind == kind) {
            limit = set->limit; /* the last one counts */
        }
    }
    return limit;
}

static const char *set_otp_countries(cmd_parms *cmd, void *location, const char *prefix)
{
    apr_size_t digits = strlen(prefix) - 1;

    (void)location;
    if (*prefix != '+' || digits < 1 || digits > 10 || strspn(prefix + 1, "0123456789") != digits) {
        return apr_psprintf(cmd->pool,
                            "GemcloneOTPCountries: '%s' is no beginning of a number; write one like"
                            " +1 or +4479",
                            prefix);
    }
    return push_setting(cmd, &config_of(cmd)->otp_countries, prefix, prefix);
}

static const char *set_otp_test(cmd_parms *cmd, void *location, const char *number,
                                const char *code, const char *day)
{
    apr_array_header_t **tests = &config_of(cmd)->otp_tests;
    const char *e164;
    apr_time_t last;

    (void)location;
    if (*number != '+' || gc_phone_e164(cmd->pool, number, "+1", &e164) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool,
                            "GemcloneOTPTestNumber: '%s' is no number; write one like +15550001111",
                            number);
    }
    if (strlen(code) < 4 || strlen(code) > 8 || strspn(code, "0123456789") != strlen(code)) {
        return "GemcloneOTPTestNumber: a code has 4 to 8 digits";
    }
    if (gc_rfc3339_day(day, &last) != APR_SUCCESS) {
        return apr_psprintf(
            cmd->pool, "GemcloneOTPTestNumber: '%s' is no day; write one like 2026-12-31", day);
    }
    if (!*tests) {
        *tests = apr_array_make(cmd->pool, 2, sizeof(gc_test_number_t));
    }
    APR_ARRAY_PUSH(*tests, gc_test_number_t) = (gc_test_number_t){e164, code, last + GC_DAY(1)};
    return check_place(cmd);
}

const char *gc_config_test_code(const gc_config_t *config, const char *e164, apr_time_t now)
{
    const char *code = NULL;
    int i;

    for (i = 0; config->otp_tests && i < config->otp_tests->nelts; i++) {
        const gc_test_number_t *test = &APR_ARRAY_IDX(config->otp_tests, i, gc_test_number_t);

        if (strcmp(test->e164, e164) == 0) {
            code = now < test->until ? test->code : NULL; /* the last one counts */
        }
    }
    return code;
}

int gc_config_is_served(const gc_config_t *config, const char *e164)
{
    const apr_array_header_t *list = config->otp_countries;
    int i, served = !list;

    for (i = 0; list && i < list->nelts; i++) {
        const char *prefix = APR_ARRAY_IDX(list, i, gc_setting_t).value;

        served |= strncmp(e164, prefix, strlen(prefix)) == 0;
    }
    return served;
}

/* How browsers write an origin: scheme://host[:port], in small letters, without the port that the
 * scheme has anyhow. NULL: a text is none. */
static const char *origin_text(apr_pool_t *pool, const char *text)
{
    char *small = apr_pstrdup(pool, text);
    apr_uri_t uri;

    ap_str_tolower(small);
    if (apr_uri_parse(pool, small, &uri) != APR_SUCCESS || !uri.scheme || !uri.hostname
        || !*uri.hostname
        || uri.hostname[strspn(uri.hostname, "abcdefghijklmnopqrstuvwxyz0123456789.-_:")]) {
        return NULL;
    }
    return apr_uri_unparse(pool, &uri, APR_URI_UNP_OMITUSERINFO | APR_URI_UNP_OMITPATHINFO);
}

static const char *check_origin(apr_pool_t *pool, const char *text)
{
    const char *origin;

    if (strcmp(text, "null") == 0) {
        return "GemcloneCORSOrigin: null is what pages say that have no origin, whosever they are;"
               " it cannot be allowed: serve yours from one like https://app.example.com";
    }
    if (!(origin = origin_text(pool, text))) {
        return apr_psprintf(pool,
                            "GemcloneCORSOrigin: '%s' is no origin; write each one whole, like"
                            " https://app.example.com, or * alone for any",
                            text);
    }
    return strcmp(origin, text) == 0
               ? NULL
               : apr_psprintf(pool,
                              "GemcloneCORSOrigin: '%s' is not how browsers write an origin;"
                              " write %s",
                              text, origin);
}

static const char *set_cors_origin(cmd_parms *cmd, void *location, const char *origin)
{
    const apr_array_header_t *others = config_of(cmd)->cors_origins;
    int is_any = strcmp(origin, "*") == 0;
    const char *wrong = is_any ? NULL : check_origin(cmd->pool, origin);

    (void)location;
    if (!wrong && others
        && (is_any || strcmp(APR_ARRAY_IDX(others, 0, gc_setting_t).value, "*") == 0)) {
        wrong = "GemcloneCORSOrigin: * stands alone, since it means any origin; write it or the"
                " others";
    }
    return wrong ? wrong : push_setting(cmd, &config_of(cmd)->cors_origins, origin, origin);
}

static const char *set_gemini_models(cmd_parms *cmd, void *location, const char *model)
{
    (void)location;
    return push_setting(cmd, &config_of(cmd)->gemini_models, model, model);
}

static const char *set_gemini_generation(cmd_parms *cmd, void *location, const char *name,
                                         const char *value)
{
    (void)location;
    return push_setting(cmd, &config_of(cmd)->gemini_generation, name, value);
}

static const char *set_gemini_safety(cmd_parms *cmd, void *location, const char *category,
                                     const char *threshold)
{
    (void)location;
    return push_setting(cmd, &config_of(cmd)->gemini_safety, category, threshold);
}

static const char *set_redis_timeout(cmd_parms *cmd, void *location, const char *total,
                                     const char *connect)
{
    const char *values[] = {total, connect ? connect : total};
    const char *wrong = NULL;
    apr_int64_t number;
    int i;

    (void)location;
    config_of(cmd)->redis_timeouts = NULL;
    for (i = 0; i < 2 && !wrong; i++) {
        if (gc_unit_duration(values[i], &number) != APR_SUCCESS || number < GC_MS(1)
            || number > GC_MIN(1)) {
            return apr_psprintf(
                cmd->pool, "GemcloneRedisTimeout: '%s' is no duration from 1ms to 1min", values[i]);
        }
        wrong =
            push_setting(cmd, &config_of(cmd)->redis_timeouts, i ? "connect" : "total", values[i]);
    }
    return wrong;
}

int gc_config_tier(const char *name)
{
    return strcmp(name, "basic") == 0 ? 0 : strcmp(name, "pro") == 0 ? 1 : -1;
}

int gc_config_tracing(const char *text)
{
    static const char *const names[] = {[GC_TRACING_OFF] = "off",
                                        [GC_TRACING_ACCEPT] = "accept",
                                        [GC_TRACING_GENERATE] = "generate"};
    int i = GC_TRACING_GENERATE;

    while (i >= 0 && strcasecmp(text, names[i]) != 0) {
        i--;
    }
    return i;
}

int gc_config_is_none(const char *text)
{
    return !text || strcasecmp(text, "none") == 0;
}

const char *gc_config_setting(const apr_array_header_t *list, const char *name)
{
    const char *value = NULL;
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const gc_setting_t *setting = &APR_ARRAY_IDX(list, i, gc_setting_t);

        if (strcmp(setting->name, name) == 0) {
            value = setting->value; /* the last one counts */
        }
    }
    return value;
}

/* --- The location -------------------------------------------------------- */

static int is_in_location(const cmd_parms *cmd)
{
    const ap_directive_t *section = cmd->directive->parent;

    return section && strcasecmp(section->directive, "<Location") == 0 && *section->args != '~'
           && *cmd->path == '/' && !strpbrk(cmd->path, "*?[");
}

/* Notes that something is mapped there, and returns the section's path without a slash at its
 * end. */
static const char *add_mapping(const cmd_parms *cmd, int on, int is_admin)
{
    apr_size_t len = strlen(cmd->path);
    gc_mapping_t *mapping = apr_array_push(mappings);

    while (len > 0 && cmd->path[len - 1] == '/') {
        len--;
    }
    *mapping = (gc_mapping_t){cmd->server, apr_pstrmemdup(cmd->pool, cmd->path, len), on, is_admin};
    return mapping->base;
}

static const char *set_engine(cmd_parms *cmd, void *baton, int on)
{
    gc_location_t *location = baton;

    if (!is_in_location(cmd)) {
        return "GemcloneEngine belongs into a <Location \"/path\"> section, without patterns";
    }
    location->engine = on;
    location->base = add_mapping(cmd, on, 0);
    return NULL;
}

/* --- What other modules are told, too ------------------------------------- */

/* httpd gives a directive to each module that knows it. SetHandler is the core's; here it tells
 * where the admin page begins. */
static const char *note_handler(cmd_parms *cmd, void *baton, const char *handler)
{
    gc_location_t *location = baton;

    location->admin = strcasecmp(handler, GC_ADMIN_HANDLER) == 0;
    if (location->admin) {
        if (!is_in_location(cmd)) {
            return "SetHandler " GC_ADMIN_HANDLER
                   " belongs into a <Location \"/path\"> section, without patterns";
        }
        location->admin_base = add_mapping(cmd, 1, 1);
    }
    return NULL;
}

/* Require is mod_authz_core's; here it tells whether anybody guards the admin page. */
static const char *note_require(cmd_parms *cmd, void *baton, const char *args)
{
    gc_location_t *location = baton;
    const char *who = ap_getword_conf(cmd->temp_pool, &args),
               *what = ap_getword_conf(cmd->temp_pool, &args);

    if (!ap_find_linked_module("mod_authz_core.c")) {
        return "Require needs mod_authz_core";
    }
    if (strcasecmp(who, "all") == 0 && strcasecmp(what, "granted") == 0) {
        location->requires |= GC_REQUIRES_NOTHING;
    } else if (cmd->limited == -1) {
        location->requires |= GC_REQUIRES_SOMETHING; /* of all methods */
    } else {
        location->requires |= GC_REQUIRES_LIMITED;
    }
    return NULL;
}

static const char *note_merging(cmd_parms *cmd, void *baton, const char *how)
{
    gc_location_t *location = baton;

    (void)cmd;
    location->merges_requires = strcasecmp(how, "Off") != 0;
    if (!location->merges_requires) {
        location->requires |= GC_REQUIRES_AFRESH;
    }
    return NULL;
}

void gc_config_reset(apr_pool_t *pconf)
{
    mappings = apr_array_make(pconf, 2, sizeof(gc_mapping_t));
    used = apr_array_make(pconf, 2, sizeof(server_rec *));
}

static int is_below(const char *path, const char *base)
{
    apr_size_t len = strlen(base);

    return len == 0
           || (path && strncmp(path, base, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* As httpd merges locations: the last one counts, and those of a virtual host after the others. */
const gc_mapping_t *gc_config_mapping_of(const server_rec *server, const char *path)
{
    const gc_mapping_t *found = NULL;
    int i;

    for (i = 0; i < mappings->nelts; i++) {
        const gc_mapping_t *m = &APR_ARRAY_IDX(mappings, i, gc_mapping_t);
        int is_for_all = !m->server->is_virtual && !(found && found->server->is_virtual);

        if (!m->is_admin && (m->server == server || is_for_all) && is_below(path, m->base)) {
            found = m;
        }
    }
    return found && found->on ? found : NULL;
}

static int is_below_admin(const server_rec *server, const char *path)
{
    int i;

    for (i = 0; i < mappings->nelts; i++) {
        const gc_mapping_t *m = &APR_ARRAY_IDX(mappings, i, gc_mapping_t);

        if (m->is_admin && (m->server == server || !m->server->is_virtual)
            && is_below(path, m->base)) {
            return 1;
        }
    }
    return 0;
}

int gc_config_is_admin(const request_rec *r)
{
    const gc_location_t *location =
        r->per_dir_config ? ap_get_module_config(r->per_dir_config, &gemclone_module) : NULL;

    return (location && location->admin == 1) || is_below_admin(r->server, r->uri);
}

int gc_config_is_ours(const server_rec *server, const char *path)
{
    return gc_config_mapping_of(server, path) || is_below_admin(server, path);
}

int gc_config_is_guarded(request_rec *r)
{
    const gc_location_t *location = ap_get_module_config(r->per_dir_config, &gemclone_module);

    return (location->requires & (GC_REQUIRES_SOMETHING | GC_REQUIRES_NOTHING))
               == GC_REQUIRES_SOMETHING
           && ap_satisfies(r) != SATISFY_ANY;
}

int gc_config_is_mapped(const server_rec *server)
{
    int i;

    for (i = 0; i < mappings->nelts; i++) {
        const gc_mapping_t *m = &APR_ARRAY_IDX(mappings, i, gc_mapping_t);

        if (m->on && (m->server == server || !m->server->is_virtual)) {
            return 1;
        }
    }
    return 0;
}

void gc_config_use(const server_rec *server)
{
    APR_ARRAY_PUSH(used, const server_rec *) = server;
}

int gc_config_is_used(const server_rec *server)
{
    int i;

    for (i = 0; i < used->nelts; i++) {
        if (APR_ARRAY_IDX(used, i, const server_rec *) == server) {
            return 1;
        }
    }
    return 0;
}

/* --- The table httpd reads ----------------------------------------------- */

#define SLOT(field, kind, least, most)                                                             \
    (void *)&(const slot_t)                                                                        \
    {                                                                                              \
        APR_OFFSETOF(gc_config_t, field), kind, least, most                                        \
    }

const command_rec gc_directives[] = {
    AP_INIT_FLAG("GemcloneEngine", set_engine, NULL, RSRC_CONF | ACCESS_CONF,
                 "whether the API is mapped on this location"),
    AP_INIT_TAKE1("SetHandler", note_handler, NULL, OR_FILEINFO,
                  "noted where it is " GC_ADMIN_HANDLER),
    AP_INIT_RAW_ARGS("Require", note_require, NULL, OR_AUTHCFG, "noted for " GC_ADMIN_HANDLER),
    AP_INIT_TAKE1("AuthMerging", note_merging, NULL, OR_AUTHCFG, "noted for " GC_ADMIN_HANDLER),
#define FLAG(field, name, value, text)                                                             \
    AP_INIT_FLAG(name, set_flag, SLOT(field, KIND_FLAG, 0, 1), RSRC_CONF, text),
#define INTEGER(field, name, value, least, most, text)                                             \
    AP_INIT_TAKE1(name, set_number, SLOT(field, KIND_INTEGER, least, most), RSRC_CONF, text),
#define DURATION(field, name, value, least, most, text)                                            \
    AP_INIT_TAKE1(name, set_number, SLOT(field, KIND_DURATION, least, most), RSRC_CONF, text),
#define SIZE(field, name, value, least, most, text)                                                \
    AP_INIT_TAKE1(name, set_number, SLOT(field, KIND_SIZE, least, most), RSRC_CONF, text),
#define TEXT(field, name, value, text)                                                             \
    AP_INIT_TAKE1(name, set_text, SLOT(field, KIND_TEXT, 0, 0), RSRC_CONF, text),
#define SECRET(field, name, text)                                                                  \
    AP_INIT_TAKE1(name, set_secret, SLOT(field, KIND_SECRET, 0, 0), RSRC_CONF, text),
#define LIST(field, name, arguments, setter, text)                                                 \
    AP_INIT_##arguments(name, setter, NULL, RSRC_CONF, text),
#include "config_list.h"
#undef FLAG
#undef INTEGER
#undef DURATION
#undef SIZE
#undef TEXT
#undef SECRET
#undef LIST
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL}};
