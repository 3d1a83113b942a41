/* SPDX-License-Identifier: Apache-2.0
 * The request to Gemini's streamGenerateContent. */
#include "gemini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <jansson.h>

#define MAX_MODEL 64
#define CATEGORY_PREFIX "HARM_CATEGORY_"

/* Bytes of body that a byte of text may cost: an event of a few letters carries half a kilobyte of
 * metadata, and thoughts have signatures. */
#define BODY_PER_TEXT 64
#define BODY_LEAST ((apr_off_t)1024 * 1024)

static const char *const roles[] = {
    [GC_GEMINI_USER] = "user",
    [GC_GEMINI_MODEL] = "model",
};

/* Settings that would break the rules by which the reader works, or that have directives. */
static const struct {
    const char *name;
    const char *why;
} refused_options[] = {
    {"candidateCount", "Gemini 3 does not support it"},
    {"responseModalities", "only text is read"},
    {"thinkingConfig", "use GemcloneGeminiThinking"},
};

int gc_gemini_model_is_valid(const char *model)
{
    apr_size_t length = strspn(model, "abcdefghijklmnopqrstuvwxyz0123456789._-");

    return length >= 1 && length <= MAX_MODEL && model[length] == '\0';
}

static const apr_table_entry_t *table_entries(const apr_table_t *table, int *count)
{
    const apr_array_header_t *entries = table ? apr_table_elts(table) : NULL;

    *count = entries ? entries->nelts : 0;
    return entries ? (const apr_table_entry_t *)entries->elts : NULL;
}

/* ---- parts of the body: new references, NULL when something is invalid ---- */

/* `value` is given away, also on failure. */
static int put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static json_t *release_unless(int ok, json_t *json)
{
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static json_t *option_json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    if (!value && !strchr("{[\"", *text)) {
        value = json_string(text);
    }
    return value;
}

static int parse_budget(const char *text, long *budget)
{
    char *end;

    errno = 0;
    *budget = strtol(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

static json_t *thinking_json(const char *thinking)
{
    char level[32];
    apr_size_t i;
    long budget;

    if (parse_budget(thinking, &budget)) {
        return json_pack("{s:I}", "thinkingBudget", (json_int_t)budget);
    }
    for (i = 0; i < sizeof(level) - 1 && apr_isalpha(thinking[i]); i++) {
        level[i] = (char)apr_toupper(thinking[i]);
    }
    level[i] = '\0';
    return i > 0 && thinking[i] == '\0' ? json_pack("{s:s}", "thinkingLevel", level) : NULL;
}

static json_t *generation_json(const gc_gemini_settings_t *settings)
{
    int i, count, ok = 1;
    const apr_table_entry_t *options = table_entries(settings->generation, &count);
    json_t *generation = json_object();

    for (i = 0; i < count && ok; i++) {
        ok = put(generation, options[i].key, option_json(options[i].val));
    }
    if (ok && settings->thinking) {
        ok = put(generation, "thinkingConfig", thinking_json(settings->thinking));
    }
    return release_unless(ok, generation);
}

static json_t *safety_json(const gc_gemini_settings_t *settings)
{
    const apr_size_t prefix = sizeof(CATEGORY_PREFIX) - 1;
    int i, count, ok = 1;
    const apr_table_entry_t *options = table_entries(settings->safety, &count);
    json_t *safety = json_array();

    for (i = 0; i < count && ok; i++) {
        const char *category = options[i].key;

        category += strncasecmp(category, CATEGORY_PREFIX, prefix) == 0 ? prefix : 0;
        ok = json_array_append_new(safety, json_pack("{s:s+, s:s}", "category", CATEGORY_PREFIX,
                                                     category, "threshold", options[i].val))
             == 0;
    }
    return release_unless(ok, safety);
}

static json_t *contents_json(const gc_gemini_prompt_t *prompt)
{
    json_t *contents = json_array(), *parts = NULL;
    const gc_gemini_turn_t *last = NULL;
    apr_size_t i;
    int ok = 1;

    for (i = 0; i < prompt->turn_count && ok; i++) {
        const gc_gemini_turn_t *turn = &prompt->turns[i];

        if (!*turn->text || (!last && turn->role == GC_GEMINI_MODEL)) {
            continue;
        }
        if (!last || last->role != turn->role) {
            json_t *content = json_pack("{s:s, s:[]}", "role", roles[turn->role], "parts");

            parts = json_object_get(content, "parts");
            ok = json_array_append_new(contents, content) == 0;
        }
        ok = ok && json_array_append_new(parts, json_pack("{s:s}", "text", turn->text)) == 0;
        last = turn;
    }
    return release_unless(ok && last && last->role == GC_GEMINI_USER, contents);
}

static json_t *body_json(const gc_gemini_settings_t *settings, const gc_gemini_prompt_t *prompt)
{
    json_t *body = json_object();
    int ok = put(body, "contents", contents_json(prompt));

    if (ok && prompt->system && *prompt->system) {
        ok = put(body, "systemInstruction",
                 json_pack("{s:[{s:s}]}", "parts", "text", prompt->system));
    }
    if (ok && (settings->thinking || !apr_is_empty_table(settings->generation))) {
        ok = put(body, "generationConfig", generation_json(settings));
    }
    if (ok && !apr_is_empty_table(settings->safety)) {
        ok = put(body, "safetySettings", safety_json(settings));
    }
    return release_unless(ok, body);
}

/* ---- the request ---- */

static apr_status_t bytes_cleanup(void *bytes)
{
    free(bytes);
    return APR_SUCCESS;
}

static char *body_bytes(apr_pool_t *pool, const gc_gemini_settings_t *settings,
                        const gc_gemini_prompt_t *prompt)
{
    json_t *body = body_json(settings, prompt);
    char *bytes = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (bytes) {
        apr_pool_cleanup_register(pool, bytes, bytes_cleanup, apr_pool_cleanup_null);
    }
    json_decref(body);
    return bytes;
}

static const char *make_url(apr_pool_t *pool, const char *base, const char *model)
{
    return gc_http_url(pool, base,
                       apr_pstrcat(pool, "/models/", model, ":streamGenerateContent?alt=sse", NULL));
}

/* The key comes last: it may be given later. */
static void set_headers(gc_http_request_t *request, apr_pool_t *pool)
{
    gc_http_header_t *headers = apr_pcalloc(pool, 2 * sizeof(*headers));
    apr_interval_time_t total = request->timeouts.total;

    headers[0] = (gc_http_header_t){"Content-Type", "application/json"};
    request->headers = headers;
    request->header_count = 1;
    if (total > 0) {
        apr_int64_t seconds = apr_time_sec(total + APR_USEC_PER_SEC - 1);

        headers[1].name = "X-Server-Timeout";
        headers[1].value = apr_psprintf(pool, "%" APR_INT64_T_FMT, seconds);
        request->header_count = 2;
    }
}

void gc_gemini_request_key(gc_http_request_t *request, apr_pool_t *pool, const char *key)
{
    apr_size_t count = request->header_count;
    gc_http_header_t *headers = apr_palloc(pool, (count + 1) * sizeof(*headers));

    memcpy(headers, request->headers, count * sizeof(*headers));
    headers[count] = (gc_http_header_t){"x-goog-api-key", key};
    request->headers = headers;
    request->header_count = count + 1;
}

apr_status_t gc_gemini_request_make(gc_http_request_t *request, apr_pool_t *pool,
                                    const gc_gemini_settings_t *settings,
                                    const gc_gemini_prompt_t *prompt)
{
    const char *model = prompt->model ? prompt->model : settings->model;

    if (!gc_gemini_model_is_valid(model) || (prompt->key && !*prompt->key)) {
        return APR_EINVAL;
    }
    *request = (gc_http_request_t){
        .method = GC_HTTP_POST,
        .url = make_url(pool, settings->base_url, model),
        .body = body_bytes(pool, settings, prompt),
        .timeouts = settings->timeouts,
        .max_bytes = BODY_LEAST + (apr_off_t)settings->max_reply * BODY_PER_TEXT,
    };
    if (!request->body) {
        return APR_EINVAL;
    }
    request->body_length = strlen(request->body);
    set_headers(request, pool);
    if (prompt->key) {
        gc_gemini_request_key(request, pool, prompt->key);
    }
    return APR_SUCCESS;
}

/* ---- the check of the settings ---- */

static int is_enum(const char *name)
{
    return *name && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")];
}

static const char *check_option(apr_pool_t *pool, const apr_table_entry_t *option)
{
    json_t *value = option_json(option->val);
    apr_size_t i;

    json_decref(value);
    if (!value) {
        return apr_psprintf(pool, "the value of %s is no JSON", option->key);
    }
    for (i = 0; i < sizeof(refused_options) / sizeof(refused_options[0]); i++) {
        if (strcasecmp(option->key, refused_options[i].name) == 0) {
            return apr_psprintf(pool, "%s cannot be set: %s", option->key, refused_options[i].why);
        }
    }
    return NULL;
}

static const char *check_safety(apr_pool_t *pool, const apr_table_entry_t *option)
{
    if (is_enum(option->key) && is_enum(option->val)) {
        return NULL;
    }
    return apr_psprintf(pool, "the safety setting \"%s %s\" is not of the form CATEGORY THRESHOLD",
                        option->key, option->val);
}

static const char *check_each(apr_pool_t *pool, const apr_table_t *table,
                              const char *(*check)(apr_pool_t *, const apr_table_entry_t *))
{
    int i, count;
    const apr_table_entry_t *options = table_entries(table, &count);
    const char *problem = NULL;

    for (i = 0; i < count && !problem; i++) {
        problem = check(pool, &options[i]);
    }
    return problem;
}

static const char *check_thinking(apr_pool_t *pool, const char *thinking)
{
    json_t *json = thinking ? thinking_json(thinking) : NULL;

    json_decref(json);
    if (json || !thinking) {
        return NULL;
    }
    return apr_psprintf(pool, "\"%s\" is neither a level nor a budget of thinking", thinking);
}

/* Behind "://" comes a host at once: curl is not let send a user and password. */
static int has_plain_host(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    apr_size_t len = strcspn(host, "/");

    return len > 0 && *host != ':' && !memchr(host, '@', len);
}

const char *gc_gemini_settings_check(apr_pool_t *pool, const gc_gemini_settings_t *settings)
{
    const char *problem = NULL;

    if (strncasecmp(settings->base_url, "https://", 8) != 0
        && strncasecmp(settings->base_url, "http://", 7) != 0) {
        problem = "the URL of Gemini begins with neither https:// nor http://";
    } else if (!has_plain_host(settings->base_url)) {
        problem = "the URL of Gemini has no host, or a user in front of it";
    } else if (settings->base_url[strcspn(settings->base_url, "?# ")]) {
        problem = "the URL of Gemini has a query, a fragment or a space";
    } else if (!gc_gemini_model_is_valid(settings->model)) {
        problem = apr_psprintf(pool, "\"%s\" is no name of a model", settings->model);
    } else if (settings->max_reply == 0) {
        problem = "a reply of no bytes is too short";
    }
    problem = problem ? problem : check_thinking(pool, settings->thinking);
    problem = problem ? problem : check_each(pool, settings->generation, check_option);
    return problem ? problem : check_each(pool, settings->safety, check_safety);
}
