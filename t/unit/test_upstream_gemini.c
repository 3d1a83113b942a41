/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of Gemini's request and of the reader of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <jansson.h>

#include "upstream/gemini.h"
#include "upstream/gemini_reader.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECONDS(n)   apr_time_from_sec(n)
#define MAX_REPLY    4096

/* ---- the request ---- */

static gc_gemini_settings_t plain_settings(void)
{
    return (gc_gemini_settings_t) {
        .base_url = "https://example.com/v1beta",
        .model = "gemini-3.8-flash",
        .max_reply = MAX_REPLY,
    };
}

static void check_body(const gc_gemini_settings_t *settings, const gc_gemini_prompt_t *prompt,
                       const char *expected)
{
    gc_http_request_t request;
    json_t *wanted = json_loads(expected, 0, NULL), *body;

    assert_int_equal(gc_gemini_request_make(&request, pool, settings, prompt), APR_SUCCESS);
    body = json_loadb(request.body, request.body_length, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(body, wanted)) {
        fail_msg("%s is not %s", request.body, expected);
    }
    json_decref(wanted);
    json_decref(body);
}

static void check_refused(const gc_gemini_settings_t *settings, const gc_gemini_prompt_t *prompt)
{
    gc_http_request_t request;

    assert_int_equal(gc_gemini_request_make(&request, pool, settings, prompt), APR_EINVAL);
}

static void test_request(void **state)
{
    const gc_gemini_turn_t turns[] = { { GC_GEMINI_USER, "Hi" } };
    gc_gemini_prompt_t prompt = { .key = "AQ.secret", .turns = turns, .turn_count = 1 };
    gc_gemini_settings_t settings = plain_settings();
    gc_http_request_t request;

    (void)state;
    settings.timeouts.total = apr_time_from_msec(600500);
    assert_int_equal(gc_gemini_request_make(&request, pool, &settings, &prompt), APR_SUCCESS);
    assert_int_equal(request.method, GC_HTTP_POST);
    assert_string_equal(request.url, "https://example.com/v1beta/models/gemini-3.8-flash"
                                     ":streamGenerateContent?alt=sse");
    assert_int_equal(request.header_count, 3);
    assert_string_equal(request.headers[0].name, "Content-Type");
    assert_string_equal(request.headers[0].value, "application/json");
    assert_string_equal(request.headers[1].name, "X-Server-Timeout");
    assert_string_equal(request.headers[1].value, "601");
    assert_string_equal(request.headers[2].name, "x-goog-api-key");
    assert_string_equal(request.headers[2].value, "AQ.secret");
    assert_true(request.max_bytes > MAX_REPLY);
    assert_string_equal(request.body,
                        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\"}]}]}");

    settings.timeouts.total = 0;
    settings.base_url = "http://127.0.0.1:1//";
    prompt.model = "other_1";
    assert_int_equal(gc_gemini_request_make(&request, pool, &settings, &prompt), APR_SUCCESS);
    assert_string_equal(request.url,
                        "http://127.0.0.1:1/models/other_1:streamGenerateContent?alt=sse");
    assert_int_equal(request.header_count, 2);
}

static void test_request_settings(void **state)
{
    const gc_gemini_turn_t turns[] = { { GC_GEMINI_USER, "Grüße \"\n" } };
    gc_gemini_prompt_t prompt = { .key = "k", .turns = turns, .turn_count = 1 };
    gc_gemini_settings_t settings = plain_settings();
    apr_table_t *generation = apr_table_make(pool, 4), *safety = apr_table_make(pool, 4);

    (void)state;
    apr_table_setn(generation, "maxOutputTokens", "2048");
    apr_table_setn(generation, "stopSequences", "[\"END\"]");
    apr_table_setn(generation, "responseMimeType", "text/plain");
    apr_table_setn(safety, "HARASSMENT", "BLOCK_NONE");
    apr_table_setn(safety, "HARM_CATEGORY_HATE_SPEECH", "OFF");
    settings.generation = generation;
    settings.safety = safety;
    settings.thinking = "low";
    prompt.system = "Be brief";
    check_body(&settings, &prompt,
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"Be brief\"}]},"
        "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Gr\\u00fc\\u00dfe \\\"\\n\"}]}],"
        "\"generationConfig\":{\"maxOutputTokens\":2048,\"stopSequences\":[\"END\"],"
        "\"responseMimeType\":\"text/plain\",\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}},"
        "\"safetySettings\":["
        "{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"BLOCK_NONE\"},"
        "{\"category\":\"HARM_CATEGORY_HATE_SPEECH\",\"threshold\":\"OFF\"}]}");

    settings.generation = settings.safety = NULL;
    settings.thinking = "-1";
    prompt.system = "";
    check_body(&settings, &prompt,
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Gr\\u00fc\\u00dfe \\\"\\n\"}]}],"
        "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":-1}}}");
}

static void test_request_turns(void **state)
{
    const gc_gemini_turn_t turns[] = {
        { GC_GEMINI_MODEL, "cut off" }, { GC_GEMINI_USER, "a" }, { GC_GEMINI_USER, "b" },
        { GC_GEMINI_MODEL, "c" }, { GC_GEMINI_USER, "" }, { GC_GEMINI_MODEL, "d" },
        { GC_GEMINI_USER, "e" }, { GC_GEMINI_MODEL, "" },
    };
    gc_gemini_prompt_t prompt = { .key = "k", .turns = turns, .turn_count = COUNT(turns) };
    gc_gemini_settings_t settings = plain_settings();

    (void)state;
    check_body(&settings, &prompt, "{\"contents\":["
        "{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
        "{\"role\":\"model\",\"parts\":[{\"text\":\"c\"},{\"text\":\"d\"}]},"
        "{\"role\":\"user\",\"parts\":[{\"text\":\"e\"}]}]}");
}

static void test_request_refused(void **state)
{
    const gc_gemini_turn_t good[] = { { GC_GEMINI_USER, "a" } };
    const gc_gemini_turn_t model_last[] = { { GC_GEMINI_USER, "a" }, { GC_GEMINI_MODEL, "b" } };
    const gc_gemini_turn_t no_utf8[] = { { GC_GEMINI_USER, "\xff" } };
    const gc_gemini_prompt_t prompts[] = {
        { .key = "k", .turns = good, .turn_count = 0 },
        { .key = "k", .turns = model_last, .turn_count = 2 },
        { .key = "k", .turns = no_utf8, .turn_count = 1 },
        { .key = "k", .turns = good, .turn_count = 1, .system = "\xc0\x80" },
        { .key = "k", .turns = good, .turn_count = 1, .model = "a/../b" },
        { .key = "", .turns = good, .turn_count = 1 },
    };
    gc_gemini_settings_t settings = plain_settings();
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(prompts); i++) {
        check_refused(&settings, &prompts[i]);
    }
    settings.thinking = "LOW 5";
    check_refused(&settings, &(gc_gemini_prompt_t) { .key = "k", .turns = good, .turn_count = 1 });
}

static void test_model_names(void **state)
{
    const char *const good[] = { "a", "gemini-3.8-flash", "a_b", "0123456789abcdef0123456789abcdef"
                                 "0123456789abcdef0123456789abcdef" };
    const char *const bad[] = { "", "Gemini", "a/b", "a b", "a:b", "a?b", "a%2f", "ä", "a\n",
                                "0123456789abcdef0123456789abcdef"
                                "0123456789abcdef0123456789abcdefx" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        assert_true(gc_gemini_model_is_valid(good[i]));
    }
    for (i = 0; i < COUNT(bad); i++) {
        assert_false(gc_gemini_model_is_valid(bad[i]));
    }
}

static void check_settings(const char *generation, const char *value, const char *problem)
{
    gc_gemini_settings_t settings = plain_settings();
    apr_table_t *table = apr_table_make(pool, 1);
    const char *found;

    apr_table_setn(table, generation, value);
    settings.generation = table;
    found = gc_gemini_settings_check(pool, &settings);
    if (problem) {
        assert_non_null(found);
        assert_non_null(strstr(found, problem));
    }
    else {
        assert_null(found);
    }
}

static void test_settings_check(void **state)
{
    gc_gemini_settings_t settings = plain_settings();
    apr_table_t *safety = apr_table_make(pool, 1);

    (void)state;
    assert_null(gc_gemini_settings_check(pool, &settings));
    check_settings("maxOutputTokens", "2048", NULL);
    check_settings("responseMimeType", "text/plain", NULL);
    check_settings("stopSequences", "[\"END\"", "no JSON");
    check_settings("seed", "", "no JSON");
    check_settings("candidateCount", "2", "not support");
    check_settings("thinkingConfig", "{}", "GemcloneGeminiThinking");

    settings.thinking = "LOW";
    assert_null(gc_gemini_settings_check(pool, &settings));
    settings.thinking = "12x";
    assert_non_null(gc_gemini_settings_check(pool, &settings));
    settings = plain_settings();
    settings.base_url = "ftp://example.com";
    assert_non_null(gc_gemini_settings_check(pool, &settings));
    settings.base_url = "https://example.com/?key=1";
    assert_non_null(gc_gemini_settings_check(pool, &settings));
    settings = plain_settings();
    settings.model = "Gemini Pro";
    assert_non_null(gc_gemini_settings_check(pool, &settings));
    settings = plain_settings();
    settings.max_reply = 0;
    assert_non_null(gc_gemini_settings_check(pool, &settings));
    settings = plain_settings();
    settings.safety = safety;
    apr_table_setn(safety, "HARASSMENT", "BLOCK_NONE");
    assert_null(gc_gemini_settings_check(pool, &settings));
    apr_table_setn(safety, "HARASSMENT", "block none");
    assert_non_null(gc_gemini_settings_check(pool, &settings));
}

/* ---- the answer ---- */

typedef struct {
    char text[MAX_REPLY + 1];
    apr_size_t length;
    int deltas;
    apr_status_t answer;
} heard_t;

static heard_t heard;

static apr_status_t delta_cb(void *baton, const char *text, apr_size_t length)
{
    heard_t *to = baton;

    assert_true(to->length + length < sizeof(to->text));
    assert_true(length > 0);
    memcpy(to->text + to->length, text, length);
    to->length += length;
    to->text[to->length] = '\0';
    to->deltas++;
    return to->answer;
}

static gc_gemini_reader_t *new_reader(apr_status_t delta_answer)
{
    memset(&heard, 0, sizeof(heard));
    heard.answer = delta_answer;
    return gc_gemini_reader_create(pool, MAX_REPLY, delta_cb, &heard);
}

/* Feeds an answer in pieces of `step` bytes, as the HTTP client would. */
static const gc_gemini_outcome_t *read_steps(gc_gemini_reader_t *reader, int http_status,
                                             const char *body, apr_size_t length, apr_size_t step,
                                             gc_http_reason_e reason)
{
    gc_http_result_t result = { .reason = reason, .http_status = http_status };
    apr_size_t at = 0;

    if (http_status > 0) {
        gc_gemini_reader_head(reader, http_status);
    }
    while (at < length) {
        apr_size_t n = length - at < step ? length - at : step;

        if (gc_gemini_reader_data(reader, body + at, n) != APR_SUCCESS) {
            result.reason = GC_HTTP_ABORTED;
            break;
        }
        at += n;
    }
    return gc_gemini_reader_end(reader, &result);
}

static const gc_gemini_outcome_t *read_answer(int http_status, const char *body)
{
    apr_size_t length = strlen(body);

    return read_steps(new_reader(APR_SUCCESS), http_status, body, length, length, GC_HTTP_OK);
}

#define TEXT(text)         "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text \
                           "\"}],\"role\":\"model\"},\"index\":0}]}\r\n\r\n"
#define FINISH(reason)     "data: {\"candidates\":[{\"finishReason\":\"" reason "\"}]}\r\n\r\n"
#define BLOCK(reason)      "data: {\"promptFeedback\":{\"blockReason\":\"" reason "\"}}\r\n\r\n"

static const char stream[] =
    "\xEF\xBB\xBF"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"I think\",\"thought\":true}]}}],"
    "\"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9}}\r\n\r\n"
    ": comment\r\n\r\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Gr\xC3\xBC\\u00dfe \"},"
    "{\"text\":\"\\ud83d\\ude00\",\"thoughtSignature\":\"c2ln\"}],\"role\":\"model\"}}]}\r\n\r\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" a\\u0000b\\u0000\"},"
    "{\"functionCall\":{\"name\":\"f\"}},{\"text\":7}]},\"finishReason\":\"STOP\",\"index\":0}],"
    "\"usageMetadata\":{\"promptTokenCount\":10,\"cachedContentTokenCount\":4,"
    "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":6,\"totalTokenCount\":21},"
    "\"modelVersion\":\"gemini-3.8-flash\",\"responseId\":\"x_Y-1\"}\r\n\r\n";

static void test_stream(void **state)
{
    static const char expected[] = "Gr\xC3\xBC\xC3\x9F" "e \xF0\x9F\x98\x80 ab";
    apr_size_t step;

    (void)state;
    for (step = 1; step < sizeof(stream); step++) {
        const gc_gemini_outcome_t *outcome = read_steps(new_reader(APR_SUCCESS), 200, stream,
                                                        sizeof(stream) - 1, step, GC_HTTP_OK);

        assert_int_equal(outcome->verdict, GC_GEMINI_DONE);
        assert_int_equal(outcome->error, GC_GEMINI_ERROR_NONE);
        assert_int_equal(outcome->retry, GC_GEMINI_RETRY_NO);
        assert_string_equal(outcome->message, "");
        assert_string_equal(heard.text, expected);
        assert_int_equal(outcome->text_length, sizeof(expected) - 1);
        assert_memory_equal(outcome->text, expected, sizeof(expected) - 1);
        assert_int_equal(outcome->usage.prompt, 10);
        assert_int_equal(outcome->usage.cached, 4);
        assert_int_equal(outcome->usage.candidates, 5);
        assert_int_equal(outcome->usage.thoughts, 6);
        assert_string_equal(outcome->finish_reason, "STOP");
        assert_string_equal(outcome->model_version, "gemini-3.8-flash");
    }
}

/* Usage repeats; the last one counts, and what it leaves out is 0. */
static void test_last_usage(void **state)
{
    const gc_gemini_outcome_t *outcome = read_answer(200,
        "data: {\"usageMetadata\":{\"promptTokenCount\":1,\"thoughtsTokenCount\":3}}\n\n" TEXT("a")
        "data: {\"usageMetadata\":{\"promptTokenCount\":2,\"totalTokenCount\":-1,"
        "\"candidatesTokenCount\":99999999999,\"cachedContentTokenCount\":\"5\"}}\n\n"
        FINISH("STOP"));

    (void)state;
    assert_int_equal(outcome->usage.prompt, 2);
    assert_int_equal(outcome->usage.thoughts, 0);
    assert_int_equal(outcome->usage.cached, 0);
    assert_int_equal(outcome->usage.candidates, INT32_MAX);
}

typedef struct {
    int http_status;
    const char *body;
    const char *detail;
    gc_gemini_verdict_e verdict;
    gc_gemini_error_e error;
    gc_gemini_retry_e retry;
    int config_alarm;
    apr_interval_time_t delay;
} case_t;

static void check_cases(const case_t *cases, apr_size_t count)
{
    apr_size_t i;

    for (i = 0; i < count; i++) {
        const gc_gemini_outcome_t *outcome = read_answer(cases[i].http_status, cases[i].body);

        if (strcmp(outcome->detail, cases[i].detail) != 0) {
            fail_msg("%s: %s is not %s", cases[i].body, outcome->detail, cases[i].detail);
        }
        assert_int_equal(outcome->http_status, cases[i].http_status);
        assert_int_equal(outcome->verdict, cases[i].verdict);
        assert_int_equal(outcome->error, cases[i].error);
        assert_int_equal(outcome->retry, cases[i].retry);
        assert_int_equal(outcome->config_alarm, cases[i].config_alarm);
        assert_int_equal(outcome->delay, cases[i].delay);
        assert_null(strstr(outcome->message, "upstream text"));
        assert_int_equal(*outcome->message == '\0', cases[i].error == GC_GEMINI_ERROR_NONE);
    }
}

#define DONE      GC_GEMINI_DONE, GC_GEMINI_ERROR_NONE, GC_GEMINI_RETRY_NO, 0, 0
#define TRUNCATED GC_GEMINI_TRUNCATED, GC_GEMINI_ERROR_NONE, GC_GEMINI_RETRY_NO, 0, 0
#define BLOCKED   GC_GEMINI_BLOCKED, GC_GEMINI_ERROR_BLOCKED, GC_GEMINI_RETRY_NO, 0, 0
#define FAILED(error, retry, alarm, delay) \
    GC_GEMINI_FAILED, GC_GEMINI_ERROR_##error, GC_GEMINI_RETRY_##retry, alarm, SECONDS(delay)

static void test_finish_reasons(void **state)
{
    static const case_t cases[] = {
        { 200, TEXT("a") FINISH("STOP"), "stop", DONE },
        { 200, TEXT("a") FINISH("MAX_TOKENS"), "max_tokens", TRUNCATED },
        { 200, TEXT("a") FINISH("SAFETY"), "finish_safety", BLOCKED },
        { 200, FINISH("RECITATION"), "finish_recitation", BLOCKED },
        { 200, FINISH("LANGUAGE"), "finish_language", BLOCKED },
        { 200, FINISH("BLOCKLIST"), "finish_blocklist", BLOCKED },
        { 200, FINISH("PROHIBITED_CONTENT"), "finish_prohibited_content", BLOCKED },
        { 200, FINISH("SPII"), "finish_spii", BLOCKED },
        { 200, FINISH("IMAGE_SAFETY"), "finish_image_safety", BLOCKED },
        { 200, FINISH("IMAGE_PROHIBITED_CONTENT"), "finish_image_prohibited_content", BLOCKED },
        { 200, FINISH("IMAGE_RECITATION"), "finish_image_recitation", BLOCKED },
        { 200, TEXT("a") FINISH("OTHER"), "finish_other", FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("IMAGE_OTHER"), "finish_image_other", FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("NO_IMAGE"), "finish_no_image", FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("MALFORMED_FUNCTION_CALL"), "finish_malformed_function_call",
          FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("UNEXPECTED_TOOL_CALL"), "finish_unexpected_tool_call",
          FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("TOO_MANY_TOOL_CALLS"), "finish_too_many_tool_calls",
          FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, TEXT("a") FINISH("SOMETHING_NEW"), "finish_unknown", FAILED(UPSTREAM, ONCE, 0, 0) },
        { 200, FINISH("STOP"), "stop_empty", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("\\u0000") FINISH("STOP"), "stop_empty", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, FINISH("MAX_TOKENS"), "max_tokens_empty", FAILED(TOO_LONG, NO, 0, 0) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_blocked_prompts(void **state)
{
    static const case_t cases[] = {
        { 200, BLOCK("SAFETY"), "prompt_safety", BLOCKED },
        { 200, BLOCK("OTHER"), "prompt_other", BLOCKED },
        { 200, BLOCK("BLOCKLIST"), "prompt_blocklist", BLOCKED },
        { 200, BLOCK("PROHIBITED_CONTENT"), "prompt_prohibited_content", BLOCKED },
        { 200, BLOCK("IMAGE_SAFETY"), "prompt_image_safety", BLOCKED },
        { 200, BLOCK("MODEL_ARMOR"), "prompt_model_armor", BLOCKED },
        { 200, BLOCK("JAILBREAK"), "prompt_jailbreak", BLOCKED },
        { 200, BLOCK("SOMETHING_NEW"), "prompt_unknown", BLOCKED },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
    assert_int_equal(read_answer(200, BLOCK("SAFETY"))->prompt_blocked, 1);
    assert_int_equal(read_answer(200, FINISH("SAFETY"))->prompt_blocked, 0);
}

#define DEEP_8  "[[[[[[[["
#define DEEP_72 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8
#define BACK_8  "]]]]]]]]"
#define BACK_72 BACK_8 BACK_8 BACK_8 BACK_8 BACK_8 BACK_8 BACK_8 BACK_8 BACK_8

static void test_broken_streams(void **state)
{
    static const case_t cases[] = {
        { 200, "", "incomplete", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a"), "incomplete", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, "<html>upstream text</html>\n", "incomplete", FAILED(UPSTREAM, YES, 0, 0) },
        { 204, "", "incomplete", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a") FINISH("STOP") "data: {", "incomplete", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a") "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n", "incomplete",
          FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a") "data: upstream text\n\n", "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("\xff"), "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("\\ud83d"), "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, "data: {\"a\":" DEEP_72 BACK_72 "}\n\n" TEXT("a") FINISH("STOP"), "malformed",
          FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("\\\"" DEEP_72) FINISH("STOP"), "stop", DONE },
        { 200, "data: 7\n\n", "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, "data: []\n\n", "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, "[{\"candidates\":[]}\n,\n{}]", "malformed", FAILED(UPSTREAM, YES, 0, 0) },
        { 200, "{\"error\":", "malformed", FAILED(UPSTREAM, YES, 0, 0) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_errors_in_streams(void **state)
{
    static const case_t cases[] = {
        { 200, TEXT("a") "{\n \"error\": {\n \"code\": 503,\n \"message\": \"upstream text\",\n"
               " \"status\": \"UNAVAILABLE\"\n }\n}\n", "unavailable",
          FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a") "[{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}]\n",
          "rate_limit", FAILED(RATE_LIMITED, AFTER, 0, 60) },
        { 200, TEXT("a") "data: {\"error\":{\"code\":504}}\n\n", "deadline_exceeded",
          FAILED(TIMEOUT, YES, 0, 0) },
        { 200, "data: {\"error\":{\"code\":499}}\n\n" TEXT("never read"), "cancelled",
          FAILED(UPSTREAM, YES, 0, 0) },
        { 200, TEXT("a") "{\"error\":\"upstream text\"}", "stream_error",
          FAILED(UPSTREAM, YES, 0, 0) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
    read_answer(200, cases[3].body);
    assert_int_equal(heard.deltas, 0);
}

static void test_error_statuses(void **state)
{
    static const case_t cases[] = {
        { 302, "", "redirected", FAILED(UPSTREAM, NO, 1, 0) },
        { 400, "", "invalid_argument", FAILED(UPSTREAM, NO, 1, 0) },
        { 401, "", "unauthenticated", FAILED(UPSTREAM, NO, 1, 0) },
        { 402, "", "rejected", FAILED(UPSTREAM, NO, 1, 0) },
        { 403, "", "permission_denied", FAILED(UPSTREAM, NO, 1, 0) },
        { 404, "", "not_found", FAILED(UPSTREAM, FALLBACK, 1, 0) },
        { 405, "", "rejected", FAILED(UPSTREAM, NO, 1, 0) },
        { 408, "", "request_timeout", FAILED(TIMEOUT, YES, 0, 0) },
        { 412, "", "rejected", FAILED(UPSTREAM, NO, 1, 0) },
        { 413, "", "request_too_big", FAILED(TOO_LONG, NO, 0, 0) },
        { 428, "", "rejected", FAILED(UPSTREAM, NO, 1, 0) },
        { 429, "", "rate_limit", FAILED(RATE_LIMITED, AFTER, 0, 60) },
        { 451, "", "rejected", FAILED(UPSTREAM, NO, 1, 0) },
        { 499, "", "cancelled", FAILED(UPSTREAM, YES, 0, 0) },
        { 500, "", "internal", FAILED(UPSTREAM, YES, 0, 0) },
        { 501, "", "server_error", FAILED(UPSTREAM, YES, 0, 0) },
        { 502, "<html>upstream text", "bad_gateway", FAILED(UPSTREAM, YES, 0, 0) },
        { 503, "upstream text", "unavailable", FAILED(UPSTREAM, YES, 0, 0) },
        { 504, "{\"error\":", "deadline_exceeded", FAILED(TIMEOUT, YES, 0, 0) },
        { 529, "", "server_error", FAILED(UPSTREAM, YES, 0, 0) },
        { 503, DEEP_72, "unavailable", FAILED(UPSTREAM, YES, 0, 0) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

#define ERROR(status, message, details) "{\"error\":{\"code\":1,\"message\":\"" message \
    "\",\"status\":\"" status "\",\"details\":[" details "]}}"
#define TYPE(name) "\"@type\":\"type.googleapis.com/google.rpc." name "\""
#define INFO(reason)   "{" TYPE("ErrorInfo") ",\"reason\":\"" reason "\"}"
#define RETRY(delay)   "{" TYPE("RetryInfo") ",\"retryDelay\":\"" delay "\"}"
#define QUOTA(id, value) "{" TYPE("QuotaFailure") ",\"violations\":[{\"quotaId\":\"x\"}," \
    "{\"quotaId\":\"" id "\",\"quotaValue\":\"" value "\"}]}"
#define EXHAUSTED(message, details) ERROR("RESOURCE_EXHAUSTED", message, details)

static void test_error_bodies(void **state)
{
    static const case_t cases[] = {
        { 400, ERROR("INVALID_ARGUMENT", "upstream text", INFO("API_KEY_INVALID")),
          "api_key_invalid", FAILED(UPSTREAM, NO, 1, 0) },
        { 400, ERROR("INVALID_ARGUMENT", "upstream text", ""), "invalid_argument",
          FAILED(UPSTREAM, NO, 1, 0) },
        { 400, ERROR("INVALID_ARGUMENT", "The input token count (2) exceeds the maximum number of"
                     " tokens allowed (1).", ""), "prompt_too_long", FAILED(TOO_LONG, NO, 0, 0) },
        { 400, ERROR("FAILED_PRECONDITION", "upstream text", ""), "failed_precondition",
          FAILED(UPSTREAM, NO, 1, 0) },
        { 403, ERROR("PERMISSION_DENIED", "upstream text", INFO("SERVICE_DISABLED")),
          "permission_denied", FAILED(UPSTREAM, NO, 1, 0) },
        { 404, "[" ERROR("NOT_FOUND", "upstream text", "") "]", "not_found",
          FAILED(UPSTREAM, FALLBACK, 1, 0) },
        { 503, ERROR("UNAVAILABLE", "upstream text", RETRY("7s")), "unavailable",
          FAILED(UPSTREAM, AFTER, 0, 7) },
        { 503, ERROR("UNAVAILABLE", "upstream text", RETRY("301s")), "unavailable",
          FAILED(UPSTREAM, YES, 0, 0) },
        { 500, ERROR("SOMETHING_NEW", "upstream text", "7,{},[]"), "internal",
          FAILED(UPSTREAM, YES, 0, 0) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_rate_limits(void **state)
{
    static const case_t cases[] = {
        { 429, EXHAUSTED("", QUOTA("RequestsPerMinutePerProject", "15")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 60) },
        { 429, EXHAUSTED("", QUOTA("RequestsPerMinute", "15") "," RETRY("34s")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 34) },
        { 429, "[" EXHAUSTED("", RETRY("300s")) "]", "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 300) },
        { 429, EXHAUSTED("Please retry in 12s.", ""), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 12) },
        { 429, EXHAUSTED("Please retry in 12s.", RETRY("13s")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 13) },
        { 429, EXHAUSTED("Please retry in 12s.", RETRY("soon")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 12) },
        { 429, EXHAUSTED("", RETRY("300.5s")), "quota_long", FAILED(RATE_LIMITED, FALLBACK, 0, 0) },
        { 429, EXHAUSTED("Please retry in 13h24m27.5s.", ""), "quota_long",
          FAILED(RATE_LIMITED, FALLBACK, 0, 0) },
        { 429, EXHAUSTED("", RETRY("99999999999999999999999999999999s")), "quota_long",
          FAILED(RATE_LIMITED, FALLBACK, 0, 0) },
        { 429, EXHAUSTED("", QUOTA("GenerateRequestsPerDayPerProject", "50") "," RETRY("5s")),
          "quota_day", FAILED(RATE_LIMITED, FALLBACK, 0, 0) },
        { 429, EXHAUSTED("", QUOTA("DailyRequests", "50")), "quota_day",
          FAILED(RATE_LIMITED, FALLBACK, 0, 0) },
        { 429, EXHAUSTED("quota, limit: 0, model: m\\nPlease retry in 5s.", ""), "quota_none",
          FAILED(RATE_LIMITED, FALLBACK, 1, 0) },
        { 429, EXHAUSTED("quota, limit: 0", ""), "quota_none",
          FAILED(RATE_LIMITED, FALLBACK, 1, 0) },
        { 429, EXHAUSTED("", QUOTA("RequestsPerMinute", "0")), "quota_none",
          FAILED(RATE_LIMITED, FALLBACK, 1, 0) },
        { 429, EXHAUSTED("quota, limit: 0.5", RETRY("5s")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 5) },
        { 429, EXHAUSTED("", INFO("RATE_LIMIT_EXCEEDED")), "rate_limit",
          FAILED(RATE_LIMITED, AFTER, 0, 60) },
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_delays(void **state)
{
    static const struct {
        const char *body;
        apr_interval_time_t delay;
    } rows[] = {
        { EXHAUSTED("", RETRY("34.07s")), 34070000 },
        { EXHAUSTED("", RETRY("900ms")), 900000 },
        { EXHAUSTED("", RETRY("1m2.5s")), 62500000 },
        { EXHAUSTED("Please retry in 34.07s.", ""), 34070000 },
        { EXHAUSTED("Please retry in 900ms.", ""), 900000 },
        { EXHAUSTED("", RETRY("0s")), SECONDS(60) },
        { EXHAUSTED("", RETRY("-5s")), SECONDS(60) },
        { EXHAUSTED("", RETRY("5")), SECONDS(60) },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        apr_interval_time_t delay = read_answer(429, rows[i].body)->delay;

        assert_true(llabs(delay - rows[i].delay) <= 1);
    }
}

static void test_error_codes(void **state)
{
    (void)state;
    assert_string_equal(read_answer(403, ERROR("A", "", INFO("B_1")))->error_code, "B_1");
    assert_string_equal(read_answer(403, ERROR("A", "", INFO("B C")))->error_code, "A");
    assert_string_equal(read_answer(403, ERROR("A<b>", "", ""))->error_code, "");
    assert_string_equal(read_answer(503, "upstream text")->error_code, "");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_NONE), "");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_BLOCKED), "blocked");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_RATE_LIMITED), "rate_limited");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_UPSTREAM), "upstream");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_TIMEOUT), "timeout");
    assert_string_equal(gc_gemini_error_name(GC_GEMINI_ERROR_TOO_LONG), "too_long");
}

static void test_transport(void **state)
{
    static const struct {
        gc_http_reason_e reason;
        const char *detail;
        gc_gemini_error_e error;
        gc_gemini_retry_e retry;
        int config_alarm;
    } rows[] = {
        { GC_HTTP_RESOLVE, "resolve", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_CONNECT, "connect", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_TLS, "tls", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_NO, 1 },
        { GC_HTTP_TIMEOUT_CONNECT, "timeout_connect", GC_GEMINI_ERROR_TIMEOUT,
          GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_TIMEOUT_FIRST, "timeout_first", GC_GEMINI_ERROR_TIMEOUT, GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_TIMEOUT_IDLE, "timeout_idle", GC_GEMINI_ERROR_TIMEOUT, GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_TIMEOUT_TOTAL, "timeout_total", GC_GEMINI_ERROR_TIMEOUT, GC_GEMINI_RETRY_NO, 0 },
        { GC_HTTP_RESET, "reset", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_YES, 0 },
        { GC_HTTP_TOO_BIG, "too_big", GC_GEMINI_ERROR_TOO_LONG, GC_GEMINI_RETRY_NO, 0 },
        { GC_HTTP_ABORTED, "aborted", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_NO, 0 },
        { GC_HTTP_OTHER, "http", GC_GEMINI_ERROR_UPSTREAM, GC_GEMINI_RETRY_ONCE, 0 },
    };
    static const char cut[] = TEXT("a") "data: {\"cand";
    apr_size_t i;
    int with_head;

    (void)state;
    for (i = 0; i < 2 * COUNT(rows); i++) {
        const gc_gemini_outcome_t *outcome;

        with_head = i >= COUNT(rows);
        outcome = read_steps(new_reader(APR_SUCCESS), with_head ? 200 : 0, cut,
                             with_head ? sizeof(cut) - 1 : 0, 7, rows[i % COUNT(rows)].reason);
        assert_string_equal(outcome->detail, rows[i % COUNT(rows)].detail);
        assert_int_equal(outcome->verdict, GC_GEMINI_FAILED);
        assert_int_equal(outcome->error, rows[i % COUNT(rows)].error);
        assert_int_equal(outcome->retry, rows[i % COUNT(rows)].retry);
        assert_int_equal(outcome->config_alarm, rows[i % COUNT(rows)].config_alarm);
    }
}

/* The answer was whole before the connection broke. */
static void test_reset_after_finish(void **state)
{
    static const char whole[] = TEXT("a") FINISH("STOP");

    (void)state;
    assert_string_equal(read_steps(new_reader(APR_SUCCESS), 200, whole, sizeof(whole) - 1, 1000,
                                   GC_HTTP_RESET)->detail, "stop");
    assert_string_equal(read_steps(new_reader(APR_SUCCESS), 503, "", 0, 1, GC_HTTP_RESET)->detail,
                        "unavailable");
}

static void test_delta_stops(void **state)
{
    static const char whole[] = TEXT("a") TEXT("b") FINISH("STOP");
    static const char at_once[] =
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
        "\"finishReason\":\"STOP\"}]}\n\n";

    (void)state;
    assert_string_equal(read_steps(new_reader(APR_EGENERAL), 200, whole, sizeof(whole) - 1, 1000,
                                   GC_HTTP_OK)->detail, "aborted");
    assert_string_equal(heard.text, "a");
    assert_string_equal(read_steps(new_reader(APR_EGENERAL), 200, at_once, sizeof(at_once) - 1,
                                   1000, GC_HTTP_OK)->detail, "aborted");
}

static void test_bounds(void **state)
{
    gc_gemini_reader_t *reader = new_reader(APR_SUCCESS);
    gc_http_result_t aborted = { .reason = GC_HTTP_ABORTED };
    const gc_gemini_outcome_t *outcome;
    char *huge = malloc(2 * 1024 * 1024);
    int i;

    (void)state;
    assert_non_null(huge);
    memset(huge, 'x', 2 * 1024 * 1024);

    gc_gemini_reader_head(reader, 200);
    for (i = 0; i < MAX_REPLY / 4; i++) {
        assert_int_equal(gc_gemini_reader_data(reader, TEXT("abcd"), strlen(TEXT("abcd"))),
                         APR_SUCCESS);
    }
    assert_int_not_equal(gc_gemini_reader_data(reader, TEXT("e"), strlen(TEXT("e"))), APR_SUCCESS);
    outcome = gc_gemini_reader_end(reader, &aborted);
    assert_string_equal(outcome->detail, "reply_too_long");
    assert_int_equal(outcome->error, GC_GEMINI_ERROR_TOO_LONG);
    assert_int_equal(outcome->retry, GC_GEMINI_RETRY_NO);
    assert_int_equal(outcome->text_length, MAX_REPLY);

    memcpy(huge, "data: ", 6);
    outcome = read_steps(new_reader(APR_SUCCESS), 200, huge, 2 * 1024 * 1024, 16384, GC_HTTP_OK);
    assert_string_equal(outcome->detail, "malformed");

    memset(huge, ' ', 2 * 1024 * 1024);
    memcpy(huge, "{\"error\":{\"status\":\"UNAVAILABLE\"}}", 34);
    outcome = read_steps(new_reader(APR_SUCCESS), 500, huge, 2 * 1024 * 1024, 16384, GC_HTTP_OK);
    assert_string_equal(outcome->detail, "unavailable");
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_request),
        FRAMED_TEST(test_request_settings),
        FRAMED_TEST(test_request_turns),
        FRAMED_TEST(test_request_refused),
        FRAMED_TEST(test_model_names),
        FRAMED_TEST(test_settings_check),
        FRAMED_TEST(test_stream),
        FRAMED_TEST(test_last_usage),
        FRAMED_TEST(test_finish_reasons),
        FRAMED_TEST(test_blocked_prompts),
        FRAMED_TEST(test_broken_streams),
        FRAMED_TEST(test_errors_in_streams),
        FRAMED_TEST(test_error_statuses),
        FRAMED_TEST(test_error_bodies),
        FRAMED_TEST(test_rate_limits),
        FRAMED_TEST(test_delays),
        FRAMED_TEST(test_error_codes),
        FRAMED_TEST(test_transport),
        FRAMED_TEST(test_reset_after_finish),
        FRAMED_TEST(test_delta_stops),
        FRAMED_TEST(test_bounds),
    };

    return RUN_FRAMED(tests);
}
