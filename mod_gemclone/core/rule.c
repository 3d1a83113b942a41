/* SPDX-License-Identifier: Apache-2.0
 * What a request's body must look like, as data.
 */
#include "rule.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* Above all ids: what a browser's numbers hold exactly. */
#define MOST_ID ((json_int_t)1 << 53)

/* Jansson has made sure that it is UTF-8: a character has one byte that is no continuation. */
static apr_int64_t count_characters(const char *text)
{
    apr_int64_t count = 0;

    for (; *text; text++) {
        count += (*text & 0xC0) != 0x80;
    }
    return count;
}

static int is_blank(const char *text)
{
    while (apr_isspace(*text)) {
        text++;
    }
    return *text == '\0';
}

static const char *choices_text(apr_pool_t *pool, const char *const *choices)
{
    const char *text = apr_psprintf(pool, "\"%s\"", *choices);

    while (*++choices) {
        text = apr_psprintf(pool, "%s%s\"%s\"", text, choices[1] ? ", " : " or ", *choices);
    }
    return text;
}

static int is_choice(const char *value, const char *const *choices)
{
    for (; *choices; choices++) {
        if (strcmp(value, *choices) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What is wrong with a text, or NULL. */
static const char *check_text(apr_pool_t *pool, const gc_rule_t *rule, apr_int64_t max,
                              const json_t *value)
{
    const char *text = json_string_value(value);
    apr_int64_t count;

    if (strlen(text) != json_string_length(value)) {
        return "It must not contain the character U+0000.";
    }
    if (rule->choices && !is_choice(text, rule->choices)) {
        return apr_pstrcat(pool, "It must be ", choices_text(pool, rule->choices), ".", NULL);
    }
    count = count_characters(text);
    if (!(rule->flags & GC_RULE_BLANK) && is_blank(text)) {
        return "It must not be empty.";
    }
    if (count < rule->min) {
        return rule->min == 1
                   ? "It must not be empty."
                   : apr_psprintf(pool, "It must have at least %d characters.", rule->min);
    }
    if (max && count > max) {
        return apr_psprintf(pool, "It must have at most %" APR_INT64_T_FMT " characters.", max);
    }
    return rule->check ? rule->check(pool, text) : NULL;
}

static const char *check_member(apr_pool_t *pool, const gc_rule_t *rule,
                                const gc_rule_limits_t *limits, const json_t *value)
{
    if (!value) {
        return rule->flags & GC_RULE_REQUIRED ? "It is required." : NULL;
    }
    if (json_is_null(value) && rule->flags & GC_RULE_NULLABLE) {
        return NULL;
    }
    if (rule->flags & GC_RULE_ID) {
        json_int_t id = json_integer_value(value);

        return json_is_integer(value) && id > 0 && id < MOST_ID ? NULL
                                                                : "It must be the id of a message.";
    }
    if (!json_is_string(value)) {
        return "It must be a string.";
    }
    return check_text(pool, rule, rule->flags & GC_RULE_PROMPT ? limits->prompt : rule->max, value);
}

apr_status_t gc_rule_check(apr_pool_t *pool, const gc_rule_t *rules, const gc_rule_limits_t *limits,
                           const json_t *body, gc_problem_t *problem)
{
    if (!json_is_object(body)) {
        gc_problem_field_add(pool, problem, "", "It must be an object.");
        return GC_EINPUT;
    }
    for (; rules->member; rules++) {
        const char *wrong = check_member(pool, rules, limits, json_object_get(body, rules->member));

        if (wrong) {
            gc_problem_field_add(pool, problem, apr_pstrcat(pool, "/", rules->member, NULL), wrong);
        }
    }
    return problem->fields ? GC_EINPUT : APR_SUCCESS;
}
