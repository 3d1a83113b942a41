/* SPDX-License-Identifier: Apache-2.0
 * What a request line asks for: its route, its paging, its ticket. The input is method and target
 * on one line, with a blank between them, then an Idempotency-Key.
 */
#include "fuzz.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "api/request.h"
#include "api/ticket.h"

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

static const gc_route_t *find(apr_pool_t *pool, gc_request_t *q, const char *method,
                              const char *path, const char **allow)
{
    memset(q, 0, sizeof(*q));
    q->pool = pool;
    return gc_route_find(q, gc_routes, method, path, allow);
}

/* --- The path ------------------------------------------------------------- */

/* The pattern with its variables filled in. */
static const char *path_of(const gc_request_t *q, const char *pattern)
{
    const char *path = "";

    while (*pattern) {
        size_t len = *pattern == '{' ? strcspn(pattern, "}") + 1 : strcspn(pattern, "{");
        const char *text = *pattern != '{' ? apr_pstrmemdup(q->pool, pattern, len)
                           : strncmp(pattern, "{file}", len) == 0 ? q->file->name
                           : len == strlen("{id}")
                               ? apr_psprintf(q->pool, "%" APR_INT64_T_FMT, q->id)
                               : gc_uuid_text(q->pool, &q->room);

        path = apr_pstrcat(q->pool, path, text, NULL);
        pattern += len;
    }
    return path;
}

/* What was found is found again by its own path, also with one slash more, but not with two. */
static void check_found(const gc_request_t *q, const gc_route_t *route)
{
    const char *path = path_of(q, route->pattern), *allow;
    gc_request_t again;

    HOLDS(find(q->pool, &again, route->method, path, &allow) == route);
    HOLDS(again.id == q->id && gc_uuid_equal(&again.room, &q->room));
    HOLDS(q->id > 0 || !strstr(route->pattern, "{id}"));
    path = apr_pstrcat(q->pool, path, "/", NULL);
    HOLDS(find(q->pool, &again, route->method, path, &allow) == route);
    path = apr_pstrcat(q->pool, path, "/", NULL);
    HOLDS(find(q->pool, &again, route->method, path, &allow) == NULL && allow == NULL);
}

static int is_listed(const char *allow, const char *method)
{
    size_t len = strlen(method);

    for (; allow && *allow; allow += strcspn(allow, ",")) {
        allow += strspn(allow, ", ");
        if (strncmp(allow, method, len) == 0 && strchr(",", allow[len])) {
            return 1;
        }
    }
    return 0;
}

/* A method that is not listed has no route; the others have one, and HEAD where GET has. */
static void check_allowed(apr_pool_t *pool, const char *path)
{
    const char *allow, *unused;
    gc_request_t q;
    int i;

    HOLDS(find(pool, &q, "TRACE", path, &allow) == NULL);
    for (i = 0; i < METHOD_COUNT; i++) {
        int has_route = find(pool, &q, methods[i], path, &unused) != NULL;

        HOLDS(has_route == (is_listed(allow, methods[i]) && strcmp(methods[i], "OPTIONS") != 0));
    }
    HOLDS(is_listed(allow, "GET") == is_listed(allow, "HEAD"));
    HOLDS(is_listed(allow, "OPTIONS") == (allow != NULL));
}

static const gc_route_t *check_path(apr_pool_t *pool, const char *method, const char *path)
{
    const char *allow;
    gc_request_t q;
    const gc_route_t *route = find(pool, &q, method, path, &allow);

    if (route) {
        HOLDS(strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0);
        check_found(&q, route);
    }
    check_allowed(pool, path);
    return route;
}

/* --- The query ------------------------------------------------------------ */

/* The value of the first such parameter, or NULL. */
static const char *value_of(apr_pool_t *pool, const char *args, const char *name)
{
    const char *start = apr_pstrcat(pool, name, "=", NULL);
    char *copy = apr_pstrdup(pool, args ? args : ""), *next;

    for (; copy; copy = next) {
        if ((next = strchr(copy, '&'))) {
            *next++ = '\0';
        }
        if (strncmp(copy, start, strlen(start)) == 0) {
            return copy + strlen(start);
        }
    }
    return NULL;
}

static void check_parameter(const gc_request_t *q, const char *name)
{
    const char *is = gc_request_parameter(q, name), *wanted = value_of(q->pool, q->r->args, name);

    HOLDS(is ? wanted && strcmp(is, wanted) == 0 : !wanted);
}

static void check_page(const gc_request_t *q)
{
    const char *limit = gc_request_parameter(q, "limit"), *why = NULL;
    const char *cursor = gc_request_parameter(q, "cursor");
    gc_page_t page;

    if (gc_request_page(q, &page, &why) != APR_SUCCESS) {
        HOLDS(why && *why && (limit || cursor));
        return;
    }
    HOLDS(limit || cursor ? page.limit >= 1 && page.limit <= 100 : page.limit == 0);
    HOLDS(page.has_cursor == (cursor != NULL));
    HOLDS(!cursor || strcmp(gc_cursor_text(q->pool, &page.after), cursor) == 0);
}

/* None of these may be seen in a log. */
static void check_hidden(const char *text)
{
    static const char *const secrets[] = {"ticket=",   "access_token=", "refresh_token=", "otp=",
                                          "password=", "number=",       "mobile_number="};
    size_t i;

    for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        const char *at = text;

        while (at && (at = strstr(at, secrets[i]))) {
            int is_parameter = at == text || strchr("?&", at[-1]);

            at += strlen(secrets[i]);
            HOLDS(!is_parameter || (*at == '-' && strchr("& ", at[1])));
        }
    }
}

static void check_ticket(const gc_request_t *q)
{
    const char *wanted = value_of(q->pool, q->r->args, "ticket");
    const char *number = value_of(q->pool, q->r->args, "number"), *ticket, *looked_for;

    gc_ticket_hide(q->r, &ticket, &looked_for);
    HOLDS((ticket || !wanted) && (looked_for || !number));
    if (q->r->args) {
        check_hidden(q->r->args);
        check_hidden(q->r->the_request);
        check_hidden(q->r->unparsed_uri);
        check_hidden(q->r->parsed_uri.query);
    }
}

/* --- The request ---------------------------------------------------------- */

static void check_key(const gc_request_t *q)
{
    const char *wanted = apr_table_get(q->r->headers_in, "Idempotency-Key"), *p = wanted;
    gc_key_t key;
    int is_good = gc_request_key(q, &key) == APR_SUCCESS;

    while (*p > ' ' && *p < 0x7F) {
        p++;
    }
    HOLDS(is_good == (*p == '\0' && p > wanted && p - wanted <= 255));
    HOLDS(!is_good || strcmp(key.text, wanted) == 0);
}

/* As httpd has it when it is ours to look at. */
static request_rec *make_request(apr_pool_t *pool, const char *method, char *target,
                                 const char *key)
{
    request_rec *r = apr_pcalloc(pool, sizeof(*r));
    char *args = strchr(target, '?');

    r->pool = pool;
    r->headers_in = apr_table_make(pool, 1);
    apr_table_setn(r->headers_in, "Idempotency-Key", key);
    r->the_request = apr_pstrcat(pool, method, " ", target, " HTTP/1.1", NULL);
    r->unparsed_uri = apr_pstrdup(pool, target);
    if (args) {
        *args++ = '\0';
        r->args = apr_pstrdup(pool, args);
        r->parsed_uri.query = apr_pstrdup(pool, args);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    const char *method = fuzz_line(pool, &data, &size);
    char *target = strchr(method, ' ');
    gc_request_t q = {.pool = pool};

    if (target) {
        *target++ = '\0';
        target[strcspn(target, " ")] = '\0';
        q.r = make_request(pool, method, target, fuzz_text(pool, data, size));
        q.route = check_path(pool, method, target);
        check_parameter(&q, "limit");
        check_parameter(&q, "last_event_id");
        check_page(&q);
        check_ticket(&q);
        if (q.route) {
            check_key(&q);
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
