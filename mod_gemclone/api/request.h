/* SPDX-License-Identifier: Apache-2.0
 * A request on its way through the core, and the routes it may take.
 */
#ifndef GC_REQUEST_H
#define GC_REQUEST_H

#include <httpd.h>

#include "core/cursor.h"
#include "core/json.h"
#include "core/rule.h"
#include "core/token.h"
#include "core/trace.h"
#include "service.h"
#include "www/www.h"

/* Who may use a route. */
typedef enum {
    GC_FOR_ALL,     /* without a token */
    GC_FOR_USERS,   /* with an access token */
    GC_FOR_RESETS,  /* with an access token, or one from a password reset */
    GC_FOR_READERS, /* with an access token, or a ticket for the reply */
    GC_FOR_ADMINS   /* whom httpd's own Require lets in: tokens of ours count for nothing */
} gc_access_e;

typedef struct gc_route_t gc_route_t;

/* What handlers get: all of it has been checked against the route. */
typedef struct gc_request_t {
    request_rec *r;
    apr_pool_t *pool; /* the request's, or one that goes before it, when a stream begins */
    gc_service_t *service;
    const gc_route_t *route;
    gc_trace_t trace;          /* that it belongs to, or none */
    gc_token_t token;          /* of GC_FOR_USERS and GC_FOR_RESETS */
    gc_uuid_t room;            /* {room} of the pattern */
    gc_uuid_t session;         /* {session} of the pattern */
    gc_uuid_t user;            /* {user} of the pattern */
    const char *event;         /* {event} of the pattern */
    apr_int64_t id;            /* {id} of the pattern */
    const gc_www_file_t *file; /* {file} of the pattern */
    json_t *body;              /* that keeps the route's rules; NULL where it has none */
    const char *raw;           /* the same as it came */
    apr_size_t raw_len;
} gc_request_t;

/* Answers the request by one of answer.h's functions and returns what that returned. */
typedef int gc_handler_t(gc_request_t *q);

struct gc_route_t {
    const char *method;
    const char *pattern; /* below the location; {room}, {session} and {user} are UUIDs, {id} a
                            positive integer, {file} a name of www/, {event} an id of Stripe's */
    gc_access_e access;
    const gc_rule_t *rules; /* of a JSON body; NULL: none is read */
    gc_handler_t *handler;
    const char *name; /* in metrics and logs */
};

/* In the place of rules: whatever the body is, it is the handler's to judge. */
extern const gc_rule_t gc_rules_raw[];

/* Every route; the last one has no method. */
extern const gc_route_t gc_routes[];

/* The route in a table of a method (HEAD is as GET) and a path below the location, whose
 * variables are put into q; or NULL: then *allow names the methods that the path
 * has ("GET, HEAD, OPTIONS"), or is NULL where there is no such path. */
const gc_route_t *gc_route_find(gc_request_t *q, const gc_route_t *routes, const char *method,
                                const char *path, const char **allow);

typedef struct gc_visit_t gc_visit_t;

/* What is known of a request, ours or not, in the module's request_config. */
typedef struct gc_note_t {
    int is_ours;
    const char *ticket, *number; /* that came in the query, or NULL */
    gc_visit_t *visit;           /* whoever came by AuthType Gemclone (door.c), or NULL */
    /* For metrics.h: */
    gc_service_t *service;   /* once it has come as far as gc_dispatch */
    const gc_route_t *route; /* or NULL */
    int is_waiting, is_stream;
} gc_note_t;

/* A request's; made when it is asked for first. */
gc_note_t *gc_request_note(request_rec *r);

/* The value of a query's parameter as it stands there, or NULL. */
const char *gc_request_parameter(const gc_request_t *q, const char *name);

/* Whether the Accept header names a type. */
int gc_request_accepts(const gc_request_t *q, const char *type);

/* Whether the client would have events rather than JSON. */
int gc_request_wants_events(const gc_request_t *q);

/* A place for a stream (0: there is none), giving it up, the answer without one, the answer with
 * it: the events of a reply after an id, and first of all `accepted` unless that is NULL. */
GC_MUST_CHECK int gc_events_reserve(gc_request_t *q);
void gc_events_release(gc_request_t *q);
int gc_events_refuse(gc_request_t *q);
int gc_events_open(gc_request_t *q, int status, apr_int64_t reply, const gc_event_id_t *from,
                   const char *accepted);

/* A place among those whose threads write long answers, and giving it up. */
GC_MUST_CHECK int gc_events_reserve_thread(gc_request_t *q);
void gc_events_release_thread(gc_request_t *q);

/* Has the request wait for an errand, after which answer(baton, r) answers it (stream.h); *rv is
 * what the handler is to return then. 0: nothing has begun, since as many wait as there may be or,
 * as *rv tells then, the request is broken. The errand is freed in any case. */
GC_MUST_CHECK int gc_request_wait(gc_request_t *q, gc_errand_t *errand,
                                  void (*answer)(void *baton, request_rec *r), void *baton,
                                  int *rv);

/* A text member of the body, or NULL where it is missing or null. */
const char *gc_request_text(const gc_request_t *q, const char *member);

/* So many rows are a page where nobody says how many. */
enum { GC_PAGE_USUAL = 50 };

/* Paging, as a query asks for it. */
typedef struct gc_page_t {
    int limit; /* 0: the whole list */
    int has_cursor;
    gc_cursor_t after;
} gc_page_t;

/* Reads ?limit= and ?cursor=; a cursor alone means GC_PAGE_USUAL. GC_EINPUT: *why tells. */
GC_MUST_CHECK apr_status_t gc_request_page(const gc_request_t *q, gc_page_t *page,
                                           const char **why);

/* The Idempotency-Key, if there is one, with the fingerprint of route and body. GC_EINPUT: it is no
 * good one. */
GC_MUST_CHECK apr_status_t gc_request_key(const gc_request_t *q, gc_key_t *key);

/* What the steps before a handler return that did not answer the request themselves. */
#define GC_GO_ON (-100)

/* Leads a request below a path to its route in a table, or answers it before one runs: let_in tells
 * who may use the route that was found. */
int gc_dispatch_below(request_rec *r, const char *base, const gc_route_t *routes,
                      int (*let_in)(gc_request_t *q));

/* httpd's handler: the same for the API. */
int gc_dispatch(request_rec *r);

#endif
