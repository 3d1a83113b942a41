/* SPDX-License-Identifier: Apache-2.0
 * Bodies of JSON, and the rules of the routes that take them. The input is method and path on one
 * line, with a blank between them, then the body.
 *
 * A body that is taken keeps each of its route's rules, read here in another way, and one that is
 * not gets a problem that a client can read.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_strings.h>

#include "api/request.h"
#include "core/phone.h"

enum { PROMPT = 300 };

/* --- JSON ----------------------------------------------------------------- */

static int depth_of(const json_t *value)
{
    int depth, deepest = 0;
    const char *name;
    json_t *member;
    size_t i;

    json_object_foreach((json_t *)value, name, member)
    {
        depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, i, member)
    {
        depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    return json_is_object(value) || json_is_array(value) ? 1 + deepest : 0;
}

static apr_size_t count_values(const json_t *value)
{
    apr_size_t count = 1, i;
    const char *name;
    json_t *member;

    json_object_foreach((json_t *)value, name, member)
    {
        count += count_values(member);
    }
    json_array_foreach(value, i, member)
    {
        count += count_values(member);
    }
    return count;
}

/* What is written is read as the same. */
static void check_round_trip(apr_pool_t *pool, const json_t *value)
{
    apr_size_t len;
    const char *text = gc_json_text(pool, value, &len), *why;
    json_t *again;

    HOLDS(text && strlen(text) == len && fuzz_is_text(text, len));
    HOLDS(gc_json_parse(pool, text, len, &again, &why) == APR_SUCCESS);
    HOLDS(json_equal(value, again));
    HOLDS(depth_of(value) <= GC_JSON_DEPTH);
    HOLDS(count_values(value) <= GC_JSON_VALUES);
    HOLDS(gc_json_parse_within(pool, text, len, count_values(value) - 1, &again, &why)
          == GC_EINPUT);
}

/* --- Rules ---------------------------------------------------------------- */

static size_t count_characters(const char *text, size_t len)
{
    size_t count = 0, i;

    for (i = 0; i < len; count++) {
        unsigned char first = (unsigned char)text[i];

        i += first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    }
    return count;
}

static int is_chosen(const gc_rule_t *rule, const char *text)
{
    const char *const *choice = rule->choices;

    while (choice && *choice && strcmp(*choice, text) != 0) {
        choice++;
    }
    return !choice || *choice;
}

static int keeps_text_rule(apr_pool_t *pool, const gc_rule_t *rule, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value), count = count_characters(text, len);
    size_t max = (size_t)(rule->flags & GC_RULE_PROMPT ? PROMPT : rule->max);

    return !memchr(text, '\0', len) && is_chosen(rule, text) && count >= (size_t)rule->min
           && (!max || count <= max)
           && (rule->flags & GC_RULE_BLANK || strspn(text, " \t\n\v\f\r") < len)
           && (!rule->check || !rule->check(pool, text));
}

static int keeps_rule(apr_pool_t *pool, const gc_rule_t *rule, const json_t *body)
{
    const json_t *value = json_object_get(body, rule->member);
    double number = json_number_value(value);

    if (!value) {
        return !(rule->flags & GC_RULE_REQUIRED);
    }
    if (rule->flags & GC_RULE_ID) {
        return json_is_integer(value) && number >= 1 && number < 9007199254740992.0;
    }
    return (json_is_null(value) && rule->flags & GC_RULE_NULLABLE)
           || (json_is_string(value) && keeps_text_rule(pool, rule, value));
}

/* Each of the fields names a rule, in their order, that the body breaks; and so for the others. */
static void check_fields(apr_pool_t *pool, const gc_rule_t *rules, const json_t *body,
                         const gc_problem_t *problem)
{
    int i = 0, count = problem->fields ? problem->fields->nelts : 0;

    for (; rules->member; rules++) {
        if (!keeps_rule(pool, rules, body)) {
            const gc_problem_field_t *field;

            HOLDS(i < count);
            field = &APR_ARRAY_IDX(problem->fields, i++, gc_problem_field_t);
            HOLDS(*field->pointer == '/' && strcmp(field->pointer + 1, rules->member) == 0);
        }
    }
    HOLDS(i == count);
}

static void check_problem(apr_pool_t *pool, const gc_problem_t *problem)
{
    apr_size_t len;
    const char *text = gc_problem_text(pool, problem, &len), *why;
    json_t *json;

    HOLDS(text && gc_json_parse(pool, text, len, &json, &why) == APR_SUCCESS);
    HOLDS(json_integer_value(json_object_get(json, "status")) == problem->status);
    HOLDS(json_string_length(json_object_get(json, "detail")) > 0);
    HOLDS((int)json_array_size(json_object_get(json, "errors"))
          == (problem->fields ? problem->fields->nelts : 0));
}

/* A number that a rule has let pass is one, whatever the country. */
static void check_phone(apr_pool_t *pool, const char *number)
{
    const char *e164, *again;
    size_t len;

    if (gc_phone_e164(pool, number, "+44", &e164) == APR_SUCCESS) {
        len = strlen(e164);
        HOLDS(*e164 == '+' && len >= 8 && len <= 16 && e164[1] != '0');
        HOLDS(strspn(e164 + 1, "0123456789") == len - 1);
        HOLDS(gc_phone_e164(pool, e164, "+1", &again) == APR_SUCCESS && !strcmp(e164, again));
        HOLDS(strlen(gc_phone_masked(pool, e164)) == len);
    }
}

static void check_rules(apr_pool_t *pool, const gc_rule_t *rules, const json_t *body)
{
    gc_rule_limits_t limits = {.prompt = PROMPT};
    gc_problem_t problem = {.status = 422};
    const char *number = json_string_value(json_object_get(body, "mobile_number"));
    int is_good = gc_rule_check(pool, rules, &limits, body, &problem) == APR_SUCCESS;

    HOLDS(is_good == (problem.fields == NULL));
    if (json_is_object(body)) {
        check_fields(pool, rules, body, &problem);
    } else {
        HOLDS(!is_good);
    }
    if (!is_good) {
        check_problem(pool, &problem);
    } else if (number) {
        check_phone(pool, number);
    }
}

/* --- The request ---------------------------------------------------------- */

static const gc_rule_t *rules_of(apr_pool_t *pool, char *line)
{
    char *path = strchr(line, ' ');
    gc_request_t q = {.pool = pool};
    const gc_route_t *route;
    const char *allow;

    if (!path) {
        return NULL;
    }
    *path++ = '\0';
    route = gc_route_find(&q, gc_routes, line, path, &allow);
    return route && route->rules != gc_rules_raw ? route->rules : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    const gc_rule_t *rules = rules_of(pool, fuzz_line(pool, &data, &size));
    gc_problem_t problem = {.status = 400};
    json_t *body;

    if (gc_json_parse(pool, fuzz_text(pool, data, size), size, &body, &problem.detail)
        != APR_SUCCESS) {
        check_problem(pool, &problem);
    } else {
        check_round_trip(pool, body);
        if (rules) {
            check_rules(pool, rules, body);
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
