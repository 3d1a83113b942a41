/* SPDX-License-Identifier: Apache-2.0
 * Statements on Postgres, each with a bound on its time.
 *
 * Connections come from mod_dbd's pool, through a provider that the glue gives.
 * Statements run on libpq beneath it, not through apr_dbd: that one has neither
 * a time limit nor SQLSTATEs nor NULLs, and does not notice that a connection
 * which was reset has lost its prepared statements.
 *
 * A gc_db_t may be used from any thread that may block; never from the loop.
 */
#ifndef GC_DB_H
#define GC_DB_H

#include <apr_time.h>
#include "core/log.h"
#include "core/metrics.h"
#include "core/status.h"
#include "core/uuid.h"

/* Every statement of this module: their text stands in statement_list.h. */
typedef enum {
#define READ(name, sql) GC_SQL_##name,
#define WRITE READ
#include "statement_list.h"
#undef READ
#undef WRITE
    GC_SQL_STATEMENTS
} gc_sql_e;

/* Name and text of a statement, for tests and tools. */
const char *gc_sql_name(gc_sql_e statement);
const char *gc_sql_text(gc_sql_e statement);

/* A pooled connection on loan. */
typedef struct gc_db_lease_t {
    void *handle;     /* the provider's own */
    void *native;     /* the PGconn */
    apr_pool_t *pool; /* lives as long as the connection */
} gc_db_lease_t;

typedef struct gc_db_provider_t {
    /* Lends a connection, opening one if need be. The pool is scratch. */
    apr_status_t (*open)(void *baton, apr_pool_t *pool, gc_db_lease_t *lease);
    void (*close)(void *baton, gc_db_lease_t *lease);
    void *baton;
} gc_db_provider_t;

typedef struct gc_db_options_t {
    gc_db_provider_t provider;
    const gc_log_t *log;
    gc_metrics_t *metrics;       /* or NULL */
    apr_interval_time_t timeout; /* of one statement */
    apr_interval_time_t wait;    /* for a free connection */
    int connections;             /* at most so many on loan at once */
} gc_db_options_t;

typedef struct gc_db_t gc_db_t;

/* What a connection string of libpq's says, out of the pool; NULL: nothing. Uses no network. */
typedef struct gc_db_target_t {
    const char *fault; /* the string is none, in libpq's words */
    const char *connect_timeout;
    const char *passfile;
} gc_db_target_t;

gc_db_target_t gc_db_target(apr_pool_t *pool, const char *conninfo);

/* Opens nothing yet. Lives as long as the pool. */
GC_MUST_CHECK apr_status_t gc_db_create(apr_pool_t *pool, const gc_db_options_t *options,
                                        gc_db_t **db);

/* Postgres counts time in microseconds from the year 2000: that, as APR has it. */
#define GC_DB_EPOCH (APR_INT64_C(946684800) * APR_USEC_PER_SEC)

/* Arguments $1, $2, … in the order they are added. Texts must stay as they are
 * until the statement has run. NULL stands for SQL's NULL. */
enum { GC_DB_PARAMS = 16 };

typedef struct gc_db_params_t {
    int count;
    const char *values[GC_DB_PARAMS];
    int lengths[GC_DB_PARAMS];
    int formats[GC_DB_PARAMS];
    char scratch[GC_DB_PARAMS][32];
} gc_db_params_t;

void gc_db_add_text(gc_db_params_t *params, const char *text);
void gc_db_add_bytes(gc_db_params_t *params, const void *bytes, apr_size_t len);
void gc_db_add_uuid(gc_db_params_t *params, const gc_uuid_t *uuid);
void gc_db_add_int(gc_db_params_t *params, apr_int64_t number);
/* For columns where a negative number means none. */
void gc_db_add_int_or_null(gc_db_params_t *params, apr_int64_t number);
void gc_db_add_bool(gc_db_params_t *params, int truth);
void gc_db_add_interval(gc_db_params_t *params, apr_interval_time_t interval);
void gc_db_add_time(gc_db_params_t *params, apr_time_t time);

/* Arrays of one dimension, in the binary form of Postgres' array_recv. Begin one,
 * add its elements (NULL: an SQL NULL), and end it: that makes it the next argument. */
typedef enum {
    GC_DB_BYTEA = 17,
    GC_DB_INT8 = 20,
    GC_DB_INT4 = 23,
    GC_DB_TEXT = 25,
    GC_DB_UUID = 2950
} gc_db_type_e; /* as pg_type has their oids */

typedef struct gc_db_array_t {
    unsigned char *bytes;
    apr_size_t len, size;
    apr_pool_t *pool;
    int count;
    gc_db_type_e type;
} gc_db_array_t;

void gc_db_array_begin(gc_db_array_t *array, apr_pool_t *pool, gc_db_type_e type);
void gc_db_array_add(gc_db_array_t *array, const void *bytes, apr_size_t len);
/* In the width of the array's type. */
void gc_db_array_add_int(gc_db_array_t *array, apr_int64_t number);
void gc_db_array_end(gc_db_array_t *array, gc_db_params_t *params);

/* What came back, owned by the pool that was given to gc_db_run. */
typedef struct gc_db_result_t gc_db_result_t;

/* Runs a statement in a transaction of its own and waits for its end, at most
 * wait + timeout. It is tried again by itself after a deadlock, a serialization
 * failure, or on a connection that was dead before it was used.
 * GC_EEXIST, GC_EGONE, GC_EUNAVAILABLE, GC_EUNKNOWN, GC_ESCHEMA, GC_EDATABASE. */
GC_MUST_CHECK apr_status_t gc_db_run(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                                     const gc_db_params_t *params, gc_db_result_t **result);

/* The same for a statement that gives one row, or none: GC_ENOENT. */
GC_MUST_CHECK apr_status_t gc_db_run_for_one(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                                             const gc_db_params_t *params, gc_db_result_t **result);

/* Whether Postgres can be reached and every statement fits its schema. GC_ESCHEMA:
 * *missing is the name of the first that does not. Costs nothing on a connection
 * that has prepared them all. */
GC_MUST_CHECK apr_status_t gc_db_check(gc_db_t *db, apr_pool_t *pool, const char **missing);

int gc_db_rows(const gc_db_result_t *result);

/* Rows that an INSERT, UPDATE or DELETE touched. */
int gc_db_affected(const gc_db_result_t *result);

/* Columns by their place, from 0. A NULL reads as NULL, 0 or fallback. Texts live as
 * long as the result's pool. */
const char *gc_db_text(const gc_db_result_t *result, int row, int column);
const char *gc_db_bytes(const gc_db_result_t *result, int row, int column, apr_size_t *len);
apr_int64_t gc_db_int(const gc_db_result_t *result, int row, int column, apr_int64_t fallback);
int gc_db_bool(const gc_db_result_t *result, int row, int column);
gc_uuid_t gc_db_uuid(const gc_db_result_t *result, int row, int column);
apr_time_t gc_db_time(const gc_db_result_t *result, int row, int column);

/* How long until it is worth trying again, after GC_EUNAVAILABLE or GC_EUNKNOWN. */
#define GC_DB_RETRY_AFTER apr_time_from_sec(1)

#endif
