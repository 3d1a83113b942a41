/* SPDX-License-Identifier: Apache-2.0
 * What operators and load balancers ask.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "pages.h"

int gc_handle_root(gc_request_t *q)
{
    if (q->service->config->demo_page) {
        apr_table_mergen(q->r->headers_out, "Vary", "Accept");
        if (gc_request_accepts(q, "text/html")) {
            return gc_pages_answer_root(q, "chat.html");
        }
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:s, s:s}", "message", "Welcome.", "name",
                                    "mod_gemclone", "version", GC_VERSION));
}

/* The process is there: it has answered. */
int gc_handle_healthz(gc_request_t *q)
{
    return gc_answer_json(q, HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

static const char *postgres_state(gc_request_t *q)
{
    const char *missing;

    switch (gc_db_check(q->service->db, q->pool, &missing)) {
    case APR_SUCCESS:
        return "ok";
    case GC_ESCHEMA:
        return apr_psprintf(q->pool, "a migration is missing: statement %s", missing);
    default:
        return "unreachable";
    }
}

/* Ready without Redis, which is speed only; not without Postgres. */
int gc_handle_readyz(gc_request_t *q)
{
    const char *postgres = postgres_state(q), *redis = gc_redis_state(q->service->redis, q->pool);
    int ready = strcmp(postgres, "ok") == 0;

    return gc_answer_json(q, ready ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE,
                          json_pack("{s:s, s:s, s:s}", "status", ready ? "ok" : "unavailable",
                                    "postgres", postgres, "redis", redis));
}

/* The keys that others may verify access tokens with. */
int gc_handle_jwks(gc_request_t *q)
{
    return q->service->jwks ? gc_answer_bytes(q, HTTP_OK, "application/jwk-set+json",
                                              q->service->jwks, strlen(q->service->jwks))
                            : gc_answer_failure(q, APR_ENOMEM);
}
