/* SPDX-License-Identifier: Apache-2.0
 * Errors as clients get them: application/problem+json (RFC 9457).
 */
#include "problem.h"

#include "json.h"

/* The phrases of RFC 9110; what is not listed here is named by its class. */
static const struct {
    int status;
    const char *title;
} titles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *title_of(int status)
{
    size_t i;

    for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return status < 500 ? "Bad Request" : "Internal Server Error";
}

void gc_problem_field_add(apr_pool_t *pool, gc_problem_t *problem, const char *pointer,
                          const char *detail)
{
    gc_problem_field_t *field;

    if (!problem->fields) {
        problem->fields = apr_array_make(pool, 2, sizeof(gc_problem_field_t));
    }
    field = apr_array_push(problem->fields);
    field->pointer = pointer;
    field->detail = detail;
}

const char *gc_problem_text(apr_pool_t *pool, const gc_problem_t *problem, apr_size_t *len)
{
    const char *title = title_of(problem->status);
    json_t *body = gc_json_own(pool, json_pack("{s:s, s:s, s:i, s:s}", "type",
                                               problem->type ? problem->type : "about:blank",
                                               "title", title, "status", problem->status, "detail",
                                               problem->detail ? problem->detail : title));
    int i;

    if (body && problem->fields) {
        json_t *errors = json_array();

        for (i = 0; i < problem->fields->nelts; i++) {
            const gc_problem_field_t *f = &APR_ARRAY_IDX(problem->fields, i, gc_problem_field_t);

            json_array_append_new(
                errors, json_pack("{s:s, s:s}", "pointer", f->pointer, "detail", f->detail));
        }
        json_object_set_new(body, "errors", errors);
    }
    return body ? gc_json_text(pool, body, len) : NULL;
}
