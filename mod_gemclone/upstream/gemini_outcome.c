/* SPDX-License-Identifier: Apache-2.0
 * What became of one call to Gemini, and what to do about it. */
#include "gemini_outcome.h"

#include <string.h>

#include <apr_lib.h>
#include <jansson.h>

#include "gemini_json.h"

#define LONGEST_DELAY apr_time_from_sec(300) /* a longer one is a quota that is used up */
#define DEFAULT_DELAY apr_time_from_sec(60)  /* of a rate limit that names none */
#define ENDLESS (86400.0 * 365)              /* seconds; bounds what durations may say */

/* One row of the tables: all that an outcome says beside what Gemini told. */
typedef struct {
    const char *detail;
    gc_gemini_verdict_e verdict;
    gc_gemini_error_e error;
    gc_gemini_retry_e retry;
    int config_alarm;
    int key_refused;
} ruling_t;

#define DONE(detail)                                                                               \
    {                                                                                              \
        (detail), GC_GEMINI_DONE, GC_GEMINI_ERROR_NONE, GC_GEMINI_RETRY_NO, 0, 0                   \
    }
#define TRUNCATED(detail)                                                                          \
    {                                                                                              \
        (detail), GC_GEMINI_TRUNCATED, GC_GEMINI_ERROR_NONE, GC_GEMINI_RETRY_NO, 0, 0              \
    }
#define BLOCKED(detail)                                                                            \
    {                                                                                              \
        (detail), GC_GEMINI_BLOCKED, GC_GEMINI_ERROR_BLOCKED, GC_GEMINI_RETRY_NO, 0, 0             \
    }
#define FAILED(detail, error, retry)                                                               \
    {                                                                                              \
        (detail), GC_GEMINI_FAILED, GC_GEMINI_ERROR_##error, GC_GEMINI_RETRY_##retry, 0, 0         \
    }
#define ALARM(detail, error, retry)                                                                \
    {                                                                                              \
        (detail), GC_GEMINI_FAILED, GC_GEMINI_ERROR_##error, GC_GEMINI_RETRY_##retry, 1, 0         \
    }

/* An alarm that another key may not raise. */
#define REFUSED(detail)                                                                            \
    {                                                                                              \
        (detail), GC_GEMINI_FAILED, GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_NO, 1, 1             \
    }

/* By a word of Gemini's. The last row has no word and is the one for words that we do not know. */
typedef struct {
    const char *word;
    ruling_t ruling;
} word_row_t;

static const word_row_t finishes[] = {
    {"STOP", DONE("stop")},
    {"MAX_TOKENS", TRUNCATED("max_tokens")},
    {"SAFETY", BLOCKED("finish_safety")},
    {"RECITATION", BLOCKED("finish_recitation")},
    {"LANGUAGE", BLOCKED("finish_language")},
    {"BLOCKLIST", BLOCKED("finish_blocklist")},
    {"PROHIBITED_CONTENT", BLOCKED("finish_prohibited_content")},
    {"SPII", BLOCKED("finish_spii")},
    {"IMAGE_SAFETY", BLOCKED("finish_image_safety")},
    {"IMAGE_PROHIBITED_CONTENT", BLOCKED("finish_image_prohibited_content")},
    {"IMAGE_RECITATION", BLOCKED("finish_image_recitation")},
    {"OTHER", FAILED("finish_other", UPSTREAM, ONCE)},
    {"IMAGE_OTHER", FAILED("finish_image_other", UPSTREAM, ONCE)},
    {"NO_IMAGE", FAILED("finish_no_image", UPSTREAM, ONCE)},
    {"MALFORMED_FUNCTION_CALL", FAILED("finish_malformed_function_call", UPSTREAM, ONCE)},
    {"UNEXPECTED_TOOL_CALL", FAILED("finish_unexpected_tool_call", UPSTREAM, ONCE)},
    {"TOO_MANY_TOOL_CALLS", FAILED("finish_too_many_tool_calls", UPSTREAM, ONCE)},
    {NULL, FAILED("finish_unknown", UPSTREAM, ONCE)},
};

/* These come first when there is no text. Thinking may use up the whole of maxOutputTokens. */
static const word_row_t empty_finishes[] = {
    {"STOP", FAILED("stop_empty", UPSTREAM, YES)},
    {"MAX_TOKENS", FAILED("max_tokens_empty", TOO_LONG, NO)},
    {NULL, {0}},
};

static const word_row_t prompt_blocks[] = {
    {"SAFETY", BLOCKED("prompt_safety")},
    {"OTHER", BLOCKED("prompt_other")},
    {"BLOCKLIST", BLOCKED("prompt_blocklist")},
    {"PROHIBITED_CONTENT", BLOCKED("prompt_prohibited_content")},
    {"IMAGE_SAFETY", BLOCKED("prompt_image_safety")},
    {"MODEL_ARMOR", BLOCKED("prompt_model_armor")},
    {"JAILBREAK", BLOCKED("prompt_jailbreak")},
    {NULL, BLOCKED("prompt_unknown")},
};

/* Errors, by ErrorInfo's reason, else by the status, else by the number. */
static const word_row_t error_words[] = {
    {"API_KEY_INVALID", REFUSED("api_key_invalid")},
    {"INVALID_ARGUMENT", ALARM("invalid_argument", UPSTREAM, NO)},
    {"FAILED_PRECONDITION", ALARM("failed_precondition", UPSTREAM, NO)},
    {"UNAUTHENTICATED", REFUSED("unauthenticated")},
    {"PERMISSION_DENIED", REFUSED("permission_denied")},
    {"NOT_FOUND", ALARM("not_found", UPSTREAM, FALLBACK)},
    {"RESOURCE_EXHAUSTED", FAILED("rate_limit", RATE_LIMITED, AFTER)},
    {"CANCELLED", FAILED("cancelled", UPSTREAM, YES)},
    {"INTERNAL", FAILED("internal", UPSTREAM, YES)},
    {"UNAVAILABLE", FAILED("unavailable", UPSTREAM, YES)},
    {"DEADLINE_EXCEEDED", FAILED("deadline_exceeded", TIMEOUT, YES)},
    {NULL, {0}},
};

/* Each row is for the numbers from its own down to the next row's. */
static const struct {
    int least;
    ruling_t ruling;
} error_codes[] = {
    {505, FAILED("server_error", UPSTREAM, YES)},
    {504, FAILED("deadline_exceeded", TIMEOUT, YES)},
    {503, FAILED("unavailable", UPSTREAM, YES)},
    {502, FAILED("bad_gateway", UPSTREAM, YES)},
    {501, FAILED("server_error", UPSTREAM, YES)},
    {500, FAILED("internal", UPSTREAM, YES)},
    {499, FAILED("cancelled", UPSTREAM, YES)},
    {430, ALARM("rejected", UPSTREAM, NO)},
    {429, FAILED("rate_limit", RATE_LIMITED, AFTER)},
    {414, ALARM("rejected", UPSTREAM, NO)},
    {413, FAILED("request_too_big", TOO_LONG, NO)},
    {409, ALARM("rejected", UPSTREAM, NO)},
    {408, FAILED("request_timeout", TIMEOUT, YES)},
    {405, ALARM("rejected", UPSTREAM, NO)},
    {404, ALARM("not_found", UPSTREAM, FALLBACK)},
    {403, REFUSED("permission_denied")},
    {402, ALARM("rejected", UPSTREAM, NO)},
    {401, REFUSED("unauthenticated")},
    {400, ALARM("invalid_argument", UPSTREAM, NO)},
    {300, ALARM("redirected", UPSTREAM, NO)},
    {0, FAILED("stream_error", UPSTREAM, YES)},
};

/* What a rate limit turns out to be, and one kind of INVALID_ARGUMENT that is nobody's mistake. */
static const ruling_t quota_none = ALARM("quota_none", RATE_LIMITED, FALLBACK);
static const ruling_t quota_day = FAILED("quota_day", RATE_LIMITED, FALLBACK);
static const ruling_t quota_long = FAILED("quota_long", RATE_LIMITED, FALLBACK);
static const ruling_t prompt_too_long = FAILED("prompt_too_long", TOO_LONG, NO);

static const ruling_t malformed = FAILED("malformed", UPSTREAM, YES);
static const ruling_t reply_too_long = FAILED("reply_too_long", TOO_LONG, NO);

static const ruling_t transports[] = {
    [GC_HTTP_OK] = FAILED("incomplete", UPSTREAM, YES),
    [GC_HTTP_RESOLVE] = FAILED("resolve", UPSTREAM, YES),
    [GC_HTTP_CONNECT] = FAILED("connect", UPSTREAM, YES),
    [GC_HTTP_TLS] = ALARM("tls", UPSTREAM, NO),
    [GC_HTTP_TIMEOUT_CONNECT] = FAILED("timeout_connect", TIMEOUT, YES),
    [GC_HTTP_TIMEOUT_FIRST] = FAILED("timeout_first", TIMEOUT, YES),
    [GC_HTTP_TIMEOUT_IDLE] = FAILED("timeout_idle", TIMEOUT, YES),
    [GC_HTTP_TIMEOUT_TOTAL] = FAILED("timeout_total", TIMEOUT, NO),
    [GC_HTTP_RESET] = FAILED("reset", UPSTREAM, YES),
    [GC_HTTP_TOO_BIG] = FAILED("too_big", TOO_LONG, NO),
    [GC_HTTP_ABORTED] = FAILED("aborted", UPSTREAM, NO),
    [GC_HTTP_OTHER] = FAILED("http", UPSTREAM, ONCE),
};

static const struct {
    const char *name;
    const char *message;
} errors[] = {
    [GC_GEMINI_ERROR_NONE] = {"", ""},
    [GC_GEMINI_ERROR_BLOCKED] = {"blocked",
                                 "Gemini's content rules do not allow an answer to this message."},
    [GC_GEMINI_ERROR_RATE_LIMITED] =
        {"rate_limited", "The model is very busy at the moment. Please try again later."},
    [GC_GEMINI_ERROR_UPSTREAM] = {"upstream",
                                  "The model could not answer. Please try again later."},
    [GC_GEMINI_ERROR_TIMEOUT] = {"timeout", "The model took too long to answer. Please try again."},
    [GC_GEMINI_ERROR_TOO_LONG] = {"too_long",
                                  "The message or its answer is too long for the model."},
    [GC_GEMINI_ERROR_POISON] = {"poison", "This message cannot be answered."},
};

const char *gc_gemini_error_name(gc_gemini_error_e error)
{
    return errors[error].name;
}

static void rule(gc_gemini_outcome_t *outcome, const ruling_t *ruling)
{
    outcome->verdict = ruling->verdict;
    outcome->error = ruling->error;
    outcome->retry = ruling->retry;
    outcome->config_alarm = ruling->config_alarm;
    outcome->key_refused = ruling->key_refused;
    outcome->detail = ruling->detail;
    outcome->message = errors[ruling->error].message;
}

static const ruling_t *find_word(const word_row_t *row, const char *word)
{
    while (row->word && strcmp(row->word, word) != 0) {
        row++;
    }
    return row->ruling.detail ? &row->ruling : NULL;
}

void gc_gemini_outcome_finish(gc_gemini_outcome_t *outcome)
{
    const ruling_t *ruling = NULL;

    if (outcome->text_length == 0) {
        ruling = find_word(empty_finishes, outcome->finish_reason);
    }
    rule(outcome, ruling ? ruling : find_word(finishes, outcome->finish_reason));
}

void gc_gemini_outcome_block_prompt(gc_gemini_outcome_t *outcome, const char *block_reason)
{
    rule(outcome, find_word(prompt_blocks, block_reason));
    outcome->prompt_blocked = 1;
}

void gc_gemini_outcome_transport(gc_gemini_outcome_t *outcome, gc_http_reason_e reason)
{
    rule(outcome, &transports[reason]);
}

void gc_gemini_outcome_malformed(gc_gemini_outcome_t *outcome)
{
    rule(outcome, &malformed);
}

void gc_gemini_outcome_too_long(gc_gemini_outcome_t *outcome)
{
    rule(outcome, &reply_too_long);
}

void gc_gemini_outcome_cancelled(gc_gemini_outcome_t *outcome)
{
    static const ruling_t cancelled = {
        "cancelled", GC_GEMINI_CANCELLED, GC_GEMINI_ERROR_NONE, GC_GEMINI_RETRY_NO, 0, 0};

    rule(outcome, &cancelled);
}

void gc_gemini_outcome_unasked(gc_gemini_outcome_t *outcome, gc_gemini_error_e error)
{
    const ruling_t unasked = {"not_asked", GC_GEMINI_FAILED, error, GC_GEMINI_RETRY_NO, 0, 0};

    rule(outcome, &unasked);
}

/* ---- errors ---- */

/* What the details of an error say that decides. */
typedef struct {
    apr_interval_time_t delay; /* 0: none given */
    int per_day;               /* the quota of a day is used up */
    int no_quota;              /* there is none at all for this model */
} hints_t;

static const struct {
    const char *name;
    double seconds;
} units[] = {
    {"ms", 0.001}, /* before the minutes, since the first that matches counts */
    {"s", 1},
    {"m", 60},
    {"h", 3600},
};

/* Not strtod: httpd may run in a locale with another decimal point. */
static const char *parse_number(const char *text, double *number)
{
    double scale = 1;

    for (*number = 0; apr_isdigit(*text); text++) {
        *number = *number * 10 + (*text - '0');
    }
    if (*text == '.' && apr_isdigit(text[1])) {
        for (text++; apr_isdigit(*text); text++) {
            scale /= 10;
            *number += scale * (*text - '0');
        }
    }
    return text;
}

static const char *parse_unit(const char *text, double *seconds)
{
    apr_size_t i;

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        apr_size_t length = strlen(units[i].name);

        if (strncmp(text, units[i].name, length) == 0) {
            *seconds = units[i].seconds;
            return text + length;
        }
    }
    return NULL;
}

/* "34.07s", "900ms", "13h24m27.5s". What follows the last unit is ignored; 0 for anything else. */
static apr_interval_time_t parse_duration(const char *text)
{
    double sum = 0, number, seconds;

    while (text && apr_isdigit(*text)) {
        text = parse_number(text, &number);
        text = parse_unit(text, &seconds);
        sum += text ? number * seconds : 0;
    }
    return (apr_interval_time_t)((sum < ENDLESS ? sum : ENDLESS) * APR_USEC_PER_SEC);
}

static const char *find_after(const char *text, const char *words)
{
    const char *found = strstr(text, words);

    return found ? found + strlen(words) : NULL;
}

static void read_message(hints_t *hints, const char *message)
{
    const char *limit = find_after(message, "limit: 0");
    const char *delay = find_after(message, "Please retry in ");

    hints->no_quota = limit && !apr_isdigit(*limit) && !(*limit == '.' && apr_isdigit(limit[1]));
    hints->delay = delay ? parse_duration(delay) : 0;
}

static void read_quota_failure(hints_t *hints, const json_t *detail)
{
    const json_t *violations = json_object_get(detail, "violations");
    apr_size_t i;

    for (i = 0; i < json_array_size(violations); i++) {
        const json_t *violation = json_array_get(violations, i);
        const char *quota = gc_gemini_json_string(violation, "quotaId");

        hints->per_day |= strstr(quota, "PerDay") || strstr(quota, "Daily");
        hints->no_quota |= strcmp(gc_gemini_json_string(violation, "quotaValue"), "0") == 0;
    }
}

static void read_retry_info(hints_t *hints, const json_t *detail)
{
    apr_interval_time_t delay = parse_duration(gc_gemini_json_string(detail, "retryDelay"));

    hints->delay = delay > 0 ? delay : hints->delay;
}

static void read_details(gc_gemini_outcome_t *outcome, hints_t *hints, const json_t *details)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(details); i++) {
        const json_t *detail = json_array_get(details, i);
        const char *type = gc_gemini_json_string(detail, "@type");

        if (strstr(type, "ErrorInfo")) {
            gc_gemini_json_word(outcome->error_code, GC_GEMINI_WORD, detail, "reason");
        } else if (strstr(type, "QuotaFailure")) {
            read_quota_failure(hints, detail);
        } else if (strstr(type, "RetryInfo")) {
            read_retry_info(hints, detail);
        }
    }
}

static const ruling_t *find_code(int code)
{
    apr_size_t i = 0;

    while (code < error_codes[i].least) {
        i++;
    }
    return &error_codes[i].ruling;
}

static const ruling_t *find_error(gc_gemini_outcome_t *outcome, const json_t *error)
{
    const char *status = gc_gemini_json_string(error, "status");
    int code = gc_gemini_json_count(error, "code");
    const ruling_t *ruling = find_word(error_words, outcome->error_code);

    ruling = ruling ? ruling : find_word(error_words, status);
    if (ruling) {
        return ruling;
    }
    return find_code(outcome->http_status >= 300 ? outcome->http_status : code);
}

/* The rules of 429: what lasts for long is no matter of waiting. */
static const ruling_t *refine(const ruling_t *ruling, const hints_t *hints, const char *message)
{
    if (ruling->error == GC_GEMINI_ERROR_RATE_LIMITED) {
        return hints->no_quota                ? &quota_none
               : hints->per_day               ? &quota_day
               : hints->delay > LONGEST_DELAY ? &quota_long
                                              : ruling;
    }
    if (strstr(message, "exceeds the maximum number of tokens")) {
        return &prompt_too_long;
    }
    return ruling;
}

static void set_delay(gc_gemini_outcome_t *outcome, apr_interval_time_t delay)
{
    if (outcome->retry == GC_GEMINI_RETRY_YES && delay > 0 && delay <= LONGEST_DELAY) {
        outcome->retry = GC_GEMINI_RETRY_AFTER;
    }
    if (outcome->retry == GC_GEMINI_RETRY_AFTER) {
        outcome->delay = delay > 0 ? delay : DEFAULT_DELAY;
    }
}

void gc_gemini_outcome_error(gc_gemini_outcome_t *outcome, const json_t *body)
{
    const json_t *first = json_is_array(body) ? json_array_get(body, 0) : body;
    const json_t *error = json_object_get(first, "error");
    const char *message = gc_gemini_json_string(error, "message");
    hints_t hints = {0};

    read_message(&hints, message);
    gc_gemini_json_word(outcome->error_code, GC_GEMINI_WORD, error, "status");
    read_details(outcome, &hints, json_object_get(error, "details"));
    rule(outcome, refine(find_error(outcome, error), &hints, message));
    set_delay(outcome, hints.delay);
}
