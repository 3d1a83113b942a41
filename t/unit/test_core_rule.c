/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the rules that bodies are held against, and of the answer that tells what is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>

#include "core/rule.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const gc_rule_limits_t limits = {.prompt = 5};

/* "ok", or "pointer: detail" of each error in order. */
static const char *verdict(const gc_rule_t *rules, const char *body)
{
    gc_problem_t problem = {.status = 422};
    const char *why = "", *text = "";
    json_t *json;
    apr_status_t rv;
    int i;

    if (gc_json_parse(pool, body, strlen(body), &json, &why) != APR_SUCCESS) {
        fail_msg("%s: %s", body, why);
    }
    rv = gc_rule_check(pool, rules, &limits, json, &problem);
    if (rv == APR_SUCCESS) {
        assert_null(problem.fields);
        return "ok";
    }
    assert_int_equal(rv, GC_EINPUT);
    assert_non_null(problem.fields);
    for (i = 0; i < problem.fields->nelts; i++) {
        const gc_problem_field_t *field = &APR_ARRAY_IDX(problem.fields, i, gc_problem_field_t);

        text = apr_psprintf(pool, "%s%s%s: %s", text, i ? "\n" : "", field->pointer, field->detail);
    }
    return text;
}

typedef struct {
    const char *value; /* of the member, as JSON; NULL: it is not there */
    const char *wrong; /* or NULL */
} rule_case_t;

/* One rule, for the member "a". */
static void check_rule(gc_rule_t rule, const rule_case_t *cases, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const gc_rule_t rules[] = {rule, {.member = NULL}};
        const char *body = cases[i].value ? apr_psprintf(pool, "{\"a\":%s}", cases[i].value) : "{}";
        const char *got = verdict(rules, body);
        const char *expected =
            cases[i].wrong ? apr_pstrcat(pool, "/a: ", cases[i].wrong, NULL) : "ok";

        if (strcmp(got, expected) != 0) {
            fail_msg("%s: \"%s\", but \"%s\" expected", body, got, expected);
        }
    }
}

#define CHECK_RULE(rule, ...)                                                                      \
    do {                                                                                           \
        static const rule_case_t cases[] = {__VA_ARGS__};                                          \
        check_rule((gc_rule_t)rule, cases, COUNT(cases));                                          \
    } while (0)

#define RULE(...)                                                                                  \
    {                                                                                              \
        .member = "a", __VA_ARGS__                                                                 \
    }

static void test_presence(void **state)
{
    (void)state;
    CHECK_RULE(RULE(.flags = 0), {NULL, NULL}, {"\"x\"", NULL}, {"null", "It must be a string."});
    CHECK_RULE(RULE(.flags = GC_RULE_REQUIRED), {NULL, "It is required."}, {"\"x\"", NULL},
               {"null", "It must be a string."});
    CHECK_RULE(RULE(.flags = GC_RULE_NULLABLE), {NULL, NULL}, {"null", NULL}, {"\"x\"", NULL},
               {"false", "It must be a string."});
    CHECK_RULE(RULE(.flags = GC_RULE_REQUIRED | GC_RULE_NULLABLE), {NULL, "It is required."},
               {"null", NULL});
}

static void test_no_string(void **state)
{
    (void)state;
    CHECK_RULE(RULE(.flags = GC_RULE_REQUIRED | GC_RULE_BLANK), {"1", "It must be a string."},
               {"1.5", "It must be a string."}, {"true", "It must be a string."},
               {"false", "It must be a string."}, {"[]", "It must be a string."},
               {"[\"x\"]", "It must be a string."}, {"{}", "It must be a string."});
}

static void test_blank(void **state)
{
    (void)state;
    CHECK_RULE(RULE(.max = 10), {"\"\"", "It must not be empty."},
               {"\" \"", "It must not be empty."}, {"\" \\t\\r\\n\"", "It must not be empty."},
               {"\" x \"", NULL});
    CHECK_RULE(RULE(.min = 1, .max = 10), {"\"\"", "It must not be empty."},
               {"\"   \"", "It must not be empty."}, {"\"x\"", NULL});
    CHECK_RULE(RULE(.flags = GC_RULE_BLANK, .max = 2), {"\"\"", NULL}, {"\"  \"", NULL},
               {"\"   \"", "It must have at most 2 characters."});
    CHECK_RULE(RULE(.min = 3, .max = 10), {"\"     \"", "It must not be empty."});
    CHECK_RULE(RULE(.flags = GC_RULE_BLANK, .min = 1, .max = 10), {"\"\"", "It must not be empty."},
               {"\" \"", NULL});
}

/* Characters are code points: neither bytes nor UTF-16 units. */
static void test_length(void **state)
{
    (void)state;
    CHECK_RULE(
        RULE(.min = 3, .max = 4), {"\"ab\"", "It must have at least 3 characters."},
        {"\"abc\"", NULL}, {"\"abcd\"", NULL}, {"\"abcde\"", "It must have at most 4 characters."},
        {"\"\xC3\xA4\xC3\xB6\"", "It must have at least 3 characters."},
        {"\"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\"", NULL},
        {"\"\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\"", NULL},
        {"\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"", NULL},
        {"\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\"", NULL},
        {"\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"", "It must have at least 3 characters."},
        {"\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"",
         "It must have at most 4 characters."});
    CHECK_RULE(RULE(.max = 0), {"\"a text of any length, since nothing bounds it\"", NULL});
}

/* The configuration's bound counts, and the rule's own does not. */
static void test_prompt_limit(void **state)
{
    (void)state;
    CHECK_RULE(RULE(.flags = GC_RULE_PROMPT, .max = 1), {"\"abcde\"", NULL},
               {"\"abcdef\"", "It must have at most 5 characters."},
               {"\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\"", NULL},
               {"\"\"", "It must not be empty."});
}

static void test_choices(void **state)
{
    static const char *const one[] = {"x", NULL}, *const two[] = {"x", "y", NULL},
                             *const three[] = {"x", "y", "z", NULL};

    (void)state;
    CHECK_RULE(RULE(.choices = one), {"\"x\"", NULL}, {"\"\"", "It must be \"x\"."},
               {"\"X\"", "It must be \"x\"."}, {"\"x \"", "It must be \"x\"."});
    CHECK_RULE(RULE(.choices = two), {"\"y\"", NULL}, {"\"z\"", "It must be \"x\" or \"y\"."});
    CHECK_RULE(RULE(.choices = three), {"\"z\"", NULL},
               {"\"xy\"", "It must be \"x\", \"y\" or \"z\"."});
}

static void test_nul(void **state)
{
    static const char *const choices[] = {"x", NULL};

    (void)state;
    CHECK_RULE(RULE(.max = 10), {"\"\\u0000\"", "It must not contain the character U+0000."},
               {"\"x\\u0000\"", "It must not contain the character U+0000."},
               {"\"x\\u0000y\"", "It must not contain the character U+0000."},
               {"\"\\\\u0000\"", NULL});
    CHECK_RULE(RULE(.choices = choices),
               {"\"x\\u0000\"", "It must not contain the character U+0000."});
}

/* --- A rule's own check ---------------------------------------------------- */

static int checks;

static const char *check_cb(apr_pool_t *p, const char *value)
{
    checks++;
    return strcmp(value, "good") == 0 ? NULL : apr_psprintf(p, "It is %s.", value);
}

/* It sees only what has passed all else. */
static void test_own_check(void **state)
{
    (void)state;
    checks = 0;
    CHECK_RULE(RULE(.flags = GC_RULE_NULLABLE, .max = 4, .check = check_cb), {NULL, NULL},
               {"null", NULL}, {"1", "It must be a string."}, {"\"\"", "It must not be empty."},
               {"\"other\"", "It must have at most 4 characters."},
               {"\"a\\u0000\"", "It must not contain the character U+0000."});
    assert_int_equal(checks, 0);
    CHECK_RULE(RULE(.max = 4, .check = check_cb), {"\"good\"", NULL}, {"\"bad\"", "It is bad."});
    assert_int_equal(checks, 2);
}

/* --- Whole bodies ---------------------------------------------------------- */

static const char *const purposes[] = {"login", "reset", NULL};
static const gc_rule_t form[] = {
    {.member = "number", .flags = GC_RULE_REQUIRED, .max = 4},
    {.member = "purpose", .flags = GC_RULE_REQUIRED, .choices = purposes},
    {.member = "name", .max = 3},
    {.member = NULL},
};

static void test_no_object(void **state)
{
    static const char *const bodies[] = {
        "null", "true", "1", "\"number\"", "[]", "[{\"number\":\"1\",\"purpose\":\"login\"}]"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bodies); i++) {
        assert_string_equal(verdict(form, bodies[i]), ": It must be an object.");
    }
}

static void test_all_that_is_wrong(void **state)
{
    (void)state;
    assert_string_equal(verdict(form, "{\"number\":\"1\",\"purpose\":\"login\"}"), "ok");
    assert_string_equal(verdict(form, "{\"name\":\"x\",\"purpose\":\"reset\",\"number\":\"1\"}"),
                        "ok");
    assert_string_equal(verdict(form, "{}"), "/number: It is required.\n/purpose: It is required.");
    assert_string_equal(verdict(form, "{\"name\":\"long\",\"purpose\":\"x\",\"number\":12}"),
                        "/number: It must be a string.\n"
                        "/purpose: It must be \"login\" or \"reset\".\n"
                        "/name: It must have at most 3 characters.");
}

static void test_other_members(void **state)
{
    (void)state;
    assert_string_equal(verdict(form,
                                "{\"number\":\"1\",\"purpose\":\"login\",\"Number\":1,\"x\":[{}],"
                                "\"\":null}"),
                        "ok");
    assert_string_equal(verdict(form, "{\"Number\":\"1\",\"purpose\":\"login\"}"),
                        "/number: It is required.");
}

/* --- The answer ------------------------------------------------------------ */

static void check_problem(const gc_problem_t *problem, const char *expected)
{
    apr_size_t len = 0;

    assert_string_equal(gc_problem_text(pool, problem, &len), expected);
    assert_int_equal(len, strlen(expected));
}

static void test_problem(void **state)
{
    static const struct {
        gc_problem_t problem;
        const char *text;
    } cases[] = {
        {{.status = 404},
         "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"Not Found\"}"},
        {{.status = 401, .detail = "Sign in first."},
         "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,"
         "\"detail\":\"Sign in first.\"}"},
        {{.status = 429, .type = GC_PROBLEM_QUOTA, .detail = "5 prompts a day."},
         "{\"type\":\"urn:gemclone:problem:quota-exceeded\",\"title\":\"Too Many Requests\","
         "\"status\":429,\"detail\":\"5 prompts a day.\"}"},
        {{.status = 422, .detail = "\"<&>\\\n\xC3\xA4"},
         "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
         "\"detail\":\"\\\"<&>\\\\\\n\xC3\xA4\"}"},
        {{.status = 418},
         "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":418,"
         "\"detail\":\"Bad Request\"}"},
        {{.status = 507},
         "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":507,"
         "\"detail\":\"Internal Server Error\"}"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        check_problem(&cases[i].problem, cases[i].text);
    }
}

static void test_problem_fields(void **state)
{
    gc_problem_t problem = {.status = 422, .detail = "The body breaks rules."};

    (void)state;
    gc_problem_field_add(pool, &problem, "", "It must be an object.");
    gc_problem_field_add(pool, &problem, "/a", "It must be \"x\".");
    gc_problem_field_add(pool, &problem, "/b", "It is required.");
    check_problem(&problem,
                  "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
                  "\"detail\":\"The body breaks rules.\",\"errors\":["
                  "{\"pointer\":\"\",\"detail\":\"It must be an object.\"},"
                  "{\"pointer\":\"/a\",\"detail\":\"It must be \\\"x\\\".\"},"
                  "{\"pointer\":\"/b\",\"detail\":\"It is required.\"}]}");
}

/* RFC 9110's phrases, of every status that this server sends. */
static void test_titles(void **state)
{
    static const struct {
        int status;
        const char *title;
    } cases[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_problem_t problem = {.status = cases[i].status};

        check_problem(&problem,
                      apr_psprintf(pool,
                                   "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                                   "\"detail\":\"%s\"}",
                                   cases[i].title, cases[i].status, cases[i].title));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_presence),
        FRAMED_TEST(test_no_string),
        FRAMED_TEST(test_blank),
        FRAMED_TEST(test_length),
        FRAMED_TEST(test_prompt_limit),
        FRAMED_TEST(test_choices),
        FRAMED_TEST(test_nul),
        FRAMED_TEST(test_own_check),
        FRAMED_TEST(test_no_object),
        FRAMED_TEST(test_all_that_is_wrong),
        FRAMED_TEST(test_other_members),
        FRAMED_TEST(test_problem),
        FRAMED_TEST(test_problem_fields),
        FRAMED_TEST(test_titles),
    };

    return RUN_FRAMED(tests);
}
