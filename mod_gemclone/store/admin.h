/* SPDX-License-Identifier: Apache-2.0
 * What admins see and do: the queue of a site, accounts, Stripe's events. sql/deploy/admin.sql has
 * what follows from it. No text of a message is read here.
 *
 * Lists come by pages of so many rows (limit), after the last row of the page before or, with NULL,
 * from their beginning. Any thread that may block.
 */
#ifndef GC_STORE_ADMIN_H
#define GC_STORE_ADMIN_H

#include <apr_tables.h>

#include "core/cursor.h"
#include "db.h"
#include "message.h"
#include "user.h"

/* --- Status --------------------------------------------------------------- */

typedef struct gc_site_status_t {
    apr_int64_t owed, generating, due; /* replies */
    apr_interval_time_t oldest;        /* for how long the one is due that is due for longest */
    apr_int64_t failed;                /* replies, within a day */
    apr_int64_t events, failing;       /* of Stripe's that are not worked off */
    apr_time_t now;                    /* as Postgres has it */
} gc_site_status_t;

GC_MUST_CHECK apr_status_t gc_admin_status(gc_db_t *db, apr_pool_t *pool, const char *site,
                                           gc_site_status_t *status);

/* A process that has replies. */
typedef struct gc_site_worker_t {
    const char *name;
    apr_int64_t replies;
    apr_time_t until; /* when the first of its leases ends, unless it is renewed */
} gc_site_worker_t;

/* The first hundred; an array of gc_site_worker_t. */
GC_MUST_CHECK apr_status_t gc_admin_workers(gc_db_t *db, apr_pool_t *pool, const char *site,
                                            apr_array_header_t **workers);

/* --- Jobs ----------------------------------------------------------------- */

typedef enum {
    GC_JOBS_RUNNING, /* by their place in the queue */
    GC_JOBS_WAITING, /* likewise */
    GC_JOBS_FAILED   /* those that failed last first */
} gc_jobs_e;

typedef struct gc_job_row_t {
    gc_uuid_t room, user;
    apr_int64_t reply;
    apr_time_t created;         /* when the prompt was accepted */
    int tries, lost;            /* lost: tries whose process was not heard of again */
    const char *error, *reason; /* of the try that failed last, or NULL */
    apr_time_t due;             /* the end of its lease, or when it may be taken; 0: when an earlier
                                   reply of its room has ended */
    const char *worker;         /* the process that has it, or NULL */
    int cancelled;
    apr_time_t failed; /* or 0 */
    const char *trace; /* the prompt's traceparent, or NULL */
    gc_cursor_t place; /* in the list */
} gc_job_row_t;

/* *jobs is an array of gc_job_row_t. */
GC_MUST_CHECK apr_status_t gc_admin_jobs(gc_db_t *db, apr_pool_t *pool, const char *site,
                                         gc_jobs_e which, int limit, const gc_cursor_t *after,
                                         apr_array_header_t **jobs);

typedef enum {
    GC_RETRY_DUE,      /* it need not wait any more */
    GC_RETRY_QUEUED,   /* it had failed, and is owed again */
    GC_RETRY_RUNNING,  /* a process has it */
    GC_RETRY_BEHIND,   /* an earlier reply of its room comes first */
    GC_RETRY_NOT_LAST, /* its chat went on */
    GC_RETRY_OVER      /* it has ended, and did not fail */
} gc_retry_e;

/* GC_ENOENT: the site has no such reply. */
GC_MUST_CHECK apr_status_t gc_admin_job_retry(gc_db_t *db, apr_pool_t *pool, const char *site,
                                              const gc_uuid_t *room, apr_int64_t reply,
                                              gc_retry_e *outcome);

/* Ends a reply that is owed; its prompt is given back. *ref is filled in but where it is over.
 * *next_due: the room's next reply became due by it. GC_ENOENT: the site has no such reply. */
GC_MUST_CHECK apr_status_t gc_admin_job_drop(gc_db_t *db, apr_pool_t *pool, const char *site,
                                             const gc_uuid_t *room, apr_int64_t reply,
                                             gc_cancel_e *outcome, gc_reply_ref_t *ref,
                                             int *next_due);

/* --- Users ---------------------------------------------------------------- */

typedef struct gc_user_overview_t {
    const char *tier; /* as it was set: what the account is without a subscription */
    int has_password;
    apr_int64_t rooms, messages, owed;
} gc_user_overview_t;

/* GC_ENOENT: there is no such user. */
GC_MUST_CHECK apr_status_t gc_admin_user(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                         gc_user_overview_t *overview);

/* Sets what the account is without a subscription: "basic" or "pro". GC_ENOENT: there is no such
 * user. */
GC_MUST_CHECK apr_status_t gc_admin_user_tier(gc_db_t *db, apr_pool_t *pool, const gc_uuid_t *id,
                                              const char *tier);

/* --- Stripe's events ------------------------------------------------------ */

typedef enum {
    GC_EVENTS_WAITING, /* not worked off, by when they came */
    GC_EVENTS_FAILING, /* likewise, but tried in vain already */
    GC_EVENTS_DONE     /* those worked off last first */
} gc_events_e;

typedef struct gc_event_row_t {
    const char *id, *type;
    const char *api_version; /* or NULL */
    apr_time_t received;
    apr_time_t due;      /* when it may be taken, or its lease ends; 0: it is done with */
    const char *worker;  /* the process that has it, or NULL */
    int tries;           /* since it came, or was replayed */
    const char *outcome; /* what became of it, or why nothing yet; NULL: it was not tried */
    apr_time_t ended;    /* or 0 */
    gc_cursor_t place;   /* in the list */
} gc_event_row_t;

/* *events is an array of gc_event_row_t. */
GC_MUST_CHECK apr_status_t gc_admin_events(gc_db_t *db, apr_pool_t *pool, gc_events_e which,
                                           int limit, const gc_cursor_t *after,
                                           apr_array_header_t **events);

/* GC_ENOENT: there is no such event. */
GC_MUST_CHECK apr_status_t gc_admin_event(gc_db_t *db, apr_pool_t *pool, const char *id,
                                          gc_event_row_t *event);

/* Has an event worked off once more. GC_ENOENT: there is no such event. */
GC_MUST_CHECK apr_status_t gc_admin_event_again(gc_db_t *db, apr_pool_t *pool, const char *id);

#endif
