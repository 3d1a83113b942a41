/* SPDX-License-Identifier: Apache-2.0
 * Statements on Postgres, each with a bound on its time.
 */
#include "db.h"

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <errno.h>
#include <libpq-fe.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    const char *name, *text;
    int reads; /* only */
} statements[GC_SQL_STATEMENTS] = {
#define READ(name, sql) [GC_SQL_##name] = {#name, sql, 1},
#define WRITE(name, sql) [GC_SQL_##name] = {#name, sql, 0},
#include "statement_list.h"
#undef READ
#undef WRITE
};

/* Who has more to say on an idle connection is not to be trusted with a statement. */
#define MOST_READS 16

/* Bytes of a result after which memory is given back to the system. */
#define LARGE_RESULT ((size_t)1024 * 1024)

/* How much longer than Postgres we wait for a statement's end. */
#define GRACE apr_time_from_msec(250)

/* A statement is tried so often where that is safe. */
#define TRIES 3

/* While Postgres is away, it is looked for so often. */
#define PROBE_AFTER apr_time_from_msec(250)

/* While Postgres is read-only, connections are made anew so often. */
#define RENEW_AFTER apr_time_from_msec(250)

/* After Postgres had no connection left for us, we do with those that we have for so long. */
#define DO_WITH_LESS apr_time_from_sec(1)

struct gc_db_t {
    gc_db_options_t options;
    apr_thread_mutex_t *mutex; /* guards what follows */
    apr_thread_cond_t *freed;
    apr_thread_cond_t *opened;
    int opening; /* somebody asks the provider for a connection */
    int lent;
    int working; /* those lent that are connected */
    int ceiling; /* at most so many, until… */
    apr_time_t ceiling_until;
    apr_time_t reached;  /* when a statement was answered last; atomic */
    apr_time_t outdated; /* sessions that began before are no good any more; atomic */
    apr_time_t down_until;
    int down;    /* the last attempt to connect failed */
    int probing; /* somebody is at another one */
};

struct gc_db_result_t {
    PGresult *rows;
};

/* What a session of Postgres knows; kept in the connection's pool. A reset makes
 * another session of the same connection. */
typedef struct {
    apr_time_t since;
    int is_set_up; /* it ends statements by itself when their time is over, and compiles none */
    unsigned char prepared[GC_SQL_STATEMENTS];
} session_t;

const char *gc_sql_name(gc_sql_e statement)
{
    return statements[statement].name;
}

const char *gc_sql_text(gc_sql_e statement)
{
    return statements[statement].text;
}

static const char *option_of(apr_pool_t *pool, const PQconninfoOption *option, const char *name)
{
    while (option->keyword && strcmp(option->keyword, name) != 0) {
        option++;
    }
    return apr_pstrdup(pool, option->keyword ? option->val : NULL);
}

gc_db_target_t gc_db_target(apr_pool_t *pool, const char *conninfo)
{
    gc_db_target_t target = {NULL, NULL, NULL};
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);

    if (options) {
        target.connect_timeout = option_of(pool, options, "connect_timeout");
        target.passfile = option_of(pool, options, "passfile");
        PQconninfoFree(options);
    } else {
        target.fault = error ? apr_pstrdup(pool, error) : "no memory";
        PQfreemem(error);
    }
    return target;
}

apr_status_t gc_db_create(apr_pool_t *pool, const gc_db_options_t *options, gc_db_t **db)
{
    gc_db_t *d = apr_pcalloc(pool, sizeof(*d));
    apr_status_t rv;

    d->options = *options;
    *db = d;
    rv = apr_thread_mutex_create(&d->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&d->freed, pool);
    }
    return rv == APR_SUCCESS ? apr_thread_cond_create(&d->opened, pool) : rv;
}

/* --- Loans of connections ------------------------------------------------ */

/* While Postgres is away one caller at a time tries to connect: the others are
 * told at once, instead of queueing behind a connect that takes its full time. */
static int is_away(const gc_db_t *db)
{
    return db->down && (db->probing || apr_time_now() < db->down_until);
}

/* Under the mutex. */
static int is_exhausted(const gc_db_t *db)
{
    int most = db->options.connections;

    if (db->ceiling < most && apr_time_now() < db->ceiling_until) {
        most = db->ceiling;
    }
    return db->lent >= most;
}

static void note_busy(const gc_db_t *db)
{
    gc_metrics_count(db->options.metrics, GC_COUNT_STATEMENT_BUSY);
    gc_log(db->options.log, GEM0206, "no database connection became free in time");
}

static apr_status_t enter(gc_db_t *db, apr_time_t deadline)
{
    apr_interval_time_t left = deadline - apr_time_now();
    int away, enters, waits;

    apr_thread_mutex_lock(db->mutex);
    waits = !is_away(db) && is_exhausted(db);
    while (!(away = is_away(db)) && is_exhausted(db) && left > 0) {
        (void)apr_thread_cond_timedwait(db->freed, db->mutex, left);
        left = deadline - apr_time_now();
    }
    enters = !away && !is_exhausted(db);
    if (enters) {
        db->lent++;
        db->probing = db->down;
    }
    apr_thread_mutex_unlock(db->mutex);
    gc_metrics_add(db->options.metrics, GC_COUNT_STATEMENT_WAITS, waits);
    gc_metrics_change(db->options.metrics, GC_GAUGE_LENT, enters);
    if (!enters && !away) {
        note_busy(db);
    }
    return enters ? APR_SUCCESS : GC_EUNAVAILABLE;
}

static void leave(gc_db_t *db)
{
    apr_thread_mutex_lock(db->mutex);
    db->lent--;
    apr_thread_cond_signal(db->freed);
    apr_thread_mutex_unlock(db->mutex);
    gc_metrics_change(db->options.metrics, GC_GAUGE_LENT, -1);
}

static void note_working(gc_db_t *db, int count)
{
    apr_thread_mutex_lock(db->mutex);
    db->working += count;
    apr_thread_mutex_unlock(db->mutex);
}

static void note_answer(gc_db_t *db)
{
    __atomic_store_n(&db->reached, apr_time_now(), __ATOMIC_RELAXED);
}

static int was_reached_since(const gc_db_t *db, apr_time_t then)
{
    return __atomic_load_n(&db->reached, __ATOMIC_RELAXED) >= then;
}

/* No further connection could be had, but others of ours work, or did a moment ago and lie in the
 * pool: Postgres has no more of them. Whoever comes next gets one of those. False: there are none.
 */
static int do_with_less(gc_db_t *db)
{
    apr_time_t now = apr_time_now();
    int others;

    apr_thread_mutex_lock(db->mutex);
    others = !db->down && (db->working > 0 || was_reached_since(db, now - DO_WITH_LESS));
    if (others) {
        db->ceiling = db->working > 0 ? db->working : 1;
        db->ceiling_until = now + DO_WITH_LESS;
    }
    apr_thread_mutex_unlock(db->mutex);
    return others;
}

/* Notes whether Postgres can be reached; logs when that changes. */
static void note_reach(gc_db_t *db, int reached)
{
    int changed;

    if (reached && !__atomic_load_n(&db->down, __ATOMIC_RELAXED)) {
        return;
    }
    apr_thread_mutex_lock(db->mutex);
    changed = db->down != !reached;
    __atomic_store_n(&db->down, !reached, __ATOMIC_RELAXED);
    db->probing = 0;
    if (!reached) {
        db->down_until = apr_time_now() + PROBE_AFTER;
        apr_thread_cond_broadcast(db->freed); /* nobody needs to wait for it */
        apr_thread_cond_broadcast(db->opened);
    }
    apr_thread_mutex_unlock(db->mutex);
    if (changed) {
        gc_metrics_change(db->options.metrics, GC_GAUGE_DATABASE_DOWN, reached ? -1 : 1);
        gc_log(db->options.log, reached ? GEM0202 : GEM0201,
               reached ? "Postgres is reached again" : "Postgres cannot be reached");
    }
}

/* --- Turns at opening ----------------------------------------------------- */

/* mod_dbd connects under a lock of its pool: while Postgres hangs, those who ask for connections
 * together would stand in line there, each for the time that all before it take. They do so
 * here instead, no longer than until the deadline, nor when Postgres is away. */
static apr_status_t await_opening(gc_db_t *db, apr_time_t deadline)
{
    apr_interval_time_t left = deadline - apr_time_now();
    int granted;

    apr_thread_mutex_lock(db->mutex);
    while (db->opening && !db->down && left > 0) {
        (void)apr_thread_cond_timedwait(db->opened, db->mutex, left);
        left = deadline - apr_time_now();
    }
    granted = !db->opening;
    if (granted) {
        db->opening = 1;
    }
    apr_thread_mutex_unlock(db->mutex);
    return granted ? APR_SUCCESS : APR_TIMEUP;
}

static void end_opening(gc_db_t *db)
{
    apr_thread_mutex_lock(db->mutex);
    db->opening = 0;
    apr_thread_cond_signal(db->opened);
    apr_thread_mutex_unlock(db->mutex);
}

/* APR_TIMEUP: others were at it for too long. */
static apr_status_t open_in_turn(gc_db_t *db, apr_pool_t *pool, apr_time_t deadline,
                                 gc_db_lease_t *lease)
{
    const gc_db_provider_t *provider = &db->options.provider;
    apr_status_t rv = await_opening(db, deadline);

    if (rv == APR_SUCCESS) {
        rv = provider->open(provider->baton, pool, lease);
        rv = rv == APR_SUCCESS ? rv : APR_EGENERAL;
        end_opening(db);
    }
    return rv;
}

/* --- One statement on a connection --------------------------------------- */

/* The backend may still be at work: it finds the connection closed when it is
 * done. PQcancel would be kinder, but waits without a bound. */
static void give_up(PGconn *conn)
{
    shutdown(PQsocket(conn), SHUT_RDWR);
    if (!PQconsumeInput(conn)) {
        return; /* that marked it as bad */
    }
    PQconsumeInput(conn);
}

/* Sends what libpq has buffered and reads until a result is there, or time is up. */
static apr_status_t await(PGconn *conn, apr_time_t deadline)
{
    int unsent = PQflush(conn);

    while (unsent == 1 || (unsent == 0 && PQisBusy(conn))) {
        struct pollfd fd = {.fd = PQsocket(conn),
                            .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
        apr_interval_time_t left = deadline - apr_time_now();
        int ready = left > 0 ? poll(&fd, 1, (int)(left / 1000) + 1) : 0;

        if (ready == 0) {
            return APR_TIMEUP;
        }
        if (ready < 0 && errno != EINTR) {
            return APR_EGENERAL;
        }
        if (!PQconsumeInput(conn)) {
            return APR_EGENERAL;
        }
        if (unsent) {
            unsent = PQflush(conn);
        }
    }
    return unsent < 0 ? APR_EGENERAL : APR_SUCCESS;
}

/* Reads up to the statement's end; the last result counts. */
static apr_status_t collect(PGconn *conn, apr_time_t deadline, PGresult **last)
{
    PGresult *result;
    apr_status_t rv;

    *last = NULL;
    while ((rv = await(conn, deadline)) == APR_SUCCESS && (result = PQgetResult(conn))) {
        PQclear(*last);
        *last = result;
        if (PQstatus(conn) != CONNECTION_OK) {
            rv = APR_EGENERAL;
            break;
        }
    }
    if (rv != APR_SUCCESS || !*last) {
        PQclear(*last);
        *last = NULL;
        give_up(conn);
        return rv != APR_SUCCESS ? rv : APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static session_t *session_of(const gc_db_lease_t *lease)
{
    static const char key[] = "gemclone-session";
    void *data = NULL;
    session_t *session;

    apr_pool_userdata_get(&data, key, lease->pool);
    session = data;
    if (!session) {
        session = apr_palloc(lease->pool, sizeof(*session));
        apr_pool_userdata_setn(session, key, NULL, lease->pool);
    }
    if (!PQisnonblocking(lease->native)) { /* as libpq leaves one that it has connected anew */
        memset(session, 0, sizeof(*session));
        session->since = apr_time_now();
        PQsetnonblocking(lease->native, 1);
    }
    return session;
}

static const char *sqlstate_of(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return state ? state : "";
}

static int succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* read_only_sql_transaction */
static int is_read_only(const PGresult *result)
{
    return strcmp(sqlstate_of(result), "25006") == 0;
}

/* feature_not_supported: "cached plan must not change result type". What the session has prepared
 * selects a column that a migration has given another type since. */
static int is_outgrown(const PGresult *result)
{
    return strcmp(sqlstate_of(result), "0A000") == 0;
}

/* --- A connection on loan ------------------------------------------------- */

/* A little later than Postgres' own: what Postgres ends is known not to have been done. */
static apr_time_t deadline_of(const gc_db_t *db)
{
    return apr_time_now() + db->options.timeout + GRACE;
}

/* What holds for all of a session. Has Postgres end statements when their time is over, whether or
 * not we are there to hear of it: one that waits for a lock would keep its backend for as long, and
 * each connection that takes the place of one given up would add another. And has it compile none:
 * the planner takes what is told to follow an index for dear, and a second of compiling comes
 * before a millisecond of work. */
static int is_set_up(const gc_db_t *db, const gc_db_lease_t *lease)
{
    session_t *session = session_of(lease);
    PGresult *result = NULL;
    char text[96];

    if (session->is_set_up) {
        return 1;
    }
    apr_snprintf(text, sizeof(text), "SET statement_timeout = %d; SET jit = off",
                 (int)(db->options.timeout / 1000));
    if (!PQsendQuery(lease->native, text)) {
        give_up(lease->native);
        return 0;
    }
    session->is_set_up =
        collect(lease->native, deadline_of(db), &result) == APR_SUCCESS && succeeded(result);
    PQclear(result);
    return session->is_set_up;
}

/* The server closed the connection while it lay in the pool, and mostly said why
 * before: libpq notices the end when it is told to read as far as that. */
static int is_stale(PGconn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
    int reads = 0;

    while (PQstatus(conn) == CONNECTION_OK && poll(&fd, 1, 0) > 0) {
        if (!PQconsumeInput(conn) || ++reads > MOST_READS) {
            return 1;
        }
    }
    return PQstatus(conn) != CONNECTION_OK;
}

/* What may not be written to by now may be another server's to write: only a new session finds the
 * one that can be written to, where DBDParams names several, and that this one can be again. Nor
 * will a session ever do with what it has prepared for a schema that has changed. So of a session
 * that is refused all others of its age are given up as well: one that has them follow one by one
 * would cost each of them a request. A young one takes none along; and where it may not write, it
 * stays, since another would not either. Whether this one is given up. */
static int renew_sessions(gc_db_t *db, const gc_db_lease_t *lease, const PGresult *refused)
{
    apr_time_t now = apr_time_now();
    int is_young = session_of(lease)->since + RENEW_AFTER > now;

    if (!is_outgrown(refused) && (is_young || !is_read_only(refused))) {
        return 0;
    }
    if (!is_young) {
        __atomic_store_n(&db->outdated, now, __ATOMIC_RELAXED);
    }
    give_up(lease->native);
    return 1;
}

static int is_outdated(const gc_db_t *db, const gc_db_lease_t *lease)
{
    return session_of(lease)->since <= __atomic_load_n(&db->outdated, __ATOMIC_RELAXED);
}

/* Whether it is good for a statement; if not, it is broken now. */
static int is_good(const gc_db_t *db, const gc_db_lease_t *lease)
{
    if (is_stale(lease->native)) {
        return 0;
    }
    if (is_outdated(db, lease)) {
        give_up(lease->native);
        return 0;
    }
    return is_set_up(db, lease);
}

/* A connection that was handed back broken is reset by the provider when it is
 * lent again; the end is that of the statement. APR_EAGAIN, with may_wait only: there is none now,
 * but others of ours will be free. */
static apr_status_t borrow(gc_db_t *db, apr_pool_t *pool, apr_time_t end, int may_wait,
                           gc_db_lease_t *lease)
{
    const gc_db_provider_t *provider = &db->options.provider;
    apr_status_t rv;
    int stale = 0;

    do {
        rv = open_in_turn(db, pool, end - db->options.timeout, lease);
        if (rv != APR_SUCCESS) {
            break;
        }
        if (is_good(db, lease)) {
            note_reach(db, 1);
            note_working(db, 1);
            return APR_SUCCESS;
        }
        provider->close(provider->baton, lease);
    } while (++stale <= db->options.connections && apr_time_now() < end);
    if (rv == APR_TIMEUP && !__atomic_load_n(&db->down, __ATOMIC_RELAXED)) {
        note_busy(db);
        return GC_EUNAVAILABLE;
    }
    if (may_wait && do_with_less(db)) {
        return APR_EAGAIN;
    }
    note_reach(db, 0);
    return GC_EUNAVAILABLE;
}

static void give_back(gc_db_t *db, gc_db_lease_t *lease)
{
    note_working(db, -1);
    db->options.provider.close(db->options.provider.baton, lease);
}

/* --- Running a statement -------------------------------------------------- */

enum { NAME = 16 };

static const char *name_of(gc_sql_e statement, char name[NAME])
{
    apr_snprintf(name, NAME, "gc_%d", (int)statement);
    return name;
}

/* Prepares the statement where this connection has not. *result is NULL, or the
 * server's error; any status means that the connection is gone. */
static apr_status_t prepare(const gc_db_lease_t *lease, gc_sql_e statement, apr_time_t deadline,
                            PGresult **result)
{
    session_t *session = session_of(lease);
    PGconn *conn = lease->native;
    char name[NAME];
    apr_status_t rv;

    *result = NULL;
    if (session->prepared[statement]) {
        return APR_SUCCESS;
    }
    if (!PQsendPrepare(conn, name_of(statement, name), statements[statement].text, 0, NULL)) {
        give_up(conn);
        return APR_EGENERAL;
    }
    rv = collect(conn, deadline, result);
    if (rv == APR_SUCCESS && (succeeded(*result) || strcmp(sqlstate_of(*result), "42P05") == 0)) {
        session->prepared[statement] = 1;
        PQclear(*result);
        *result = NULL;
    }
    return rv;
}

/* Prepares the statement if need be, and runs it. The result may be an error of the
 * server's; any status means that the connection is gone. */
static apr_status_t run_on(const gc_db_lease_t *lease, gc_sql_e statement,
                           const gc_db_params_t *params, apr_time_t deadline, PGresult **result)
{
    static const gc_db_params_t none;
    PGconn *conn = lease->native;
    char name[NAME];
    apr_status_t rv = prepare(lease, statement, deadline, result);

    if (rv != APR_SUCCESS || *result) {
        return rv;
    }
    params = params ? params : &none;
    if (!PQsendQueryPrepared(conn, name_of(statement, name), params->count, params->values,
                             params->lengths, params->formats, 1)) {
        give_up(conn);
        return APR_EGENERAL;
    }
    rv = collect(conn, deadline, result);
    if (rv == APR_SUCCESS && strcmp(sqlstate_of(*result), "26000") == 0) {
        /* The connection was reset under us, and has forgotten them all. */
        memset(session_of(lease)->prepared, 0, GC_SQL_STATEMENTS);
    }
    return rv;
}

/* --- Outcomes ------------------------------------------------------------ */

/* AGAIN_TO_READ: where the statement does nothing else. */
typedef enum { FINAL, AGAIN, AGAIN_TO_READ } retry_e;

/* What an SQLSTATE means here; the first prefix that fits. */
static const struct {
    const char *prefix;
    apr_status_t status;
    retry_e retry;
} outcomes[] = {
    {"23505", GC_EEXIST, FINAL},       /* unique_violation */
    {"23503", GC_EGONE, FINAL},        /* foreign_key_violation */
    {"26000", GC_EUNAVAILABLE, AGAIN}, /* invalid_sql_statement_name: prepare anew */
    {"40", GC_EUNAVAILABLE, AGAIN},    /* serialization failures, deadlocks */
    {"0A000", GC_EUNAVAILABLE, AGAIN}, /* a cached plan that a migration has made void */
    {"25006", GC_EUNAVAILABLE, FINAL}, /* read_only_sql_transaction: a standby */
    {"53", GC_EUNAVAILABLE, FINAL},    /* insufficient resources */
    {"55P03", GC_EUNAVAILABLE, FINAL}, /* lock_not_available */
    {"57P01", GC_EUNAVAILABLE,
     AGAIN_TO_READ},                /* admin_shutdown: this connection was cut, or all are */
    {"57", GC_EUNAVAILABLE, FINAL}, /* shut down, cancelled */
    {"08", GC_EUNAVAILABLE, FINAL}, /* connection exceptions */
    {"3F000", GC_ESCHEMA, FINAL},   /* invalid_schema_name */
    {"42501", GC_ESCHEMA, FINAL},   /* insufficient_privilege */
    {"42P01", GC_ESCHEMA, FINAL},   /* undefined_table */
    {"42703", GC_ESCHEMA, FINAL},   /* undefined_column */
    {"42883", GC_ESCHEMA, FINAL},   /* undefined_function */
    {"", GC_EDATABASE, FINAL},
};

static apr_status_t outcome_of(const PGresult *result, retry_e *retry)
{
    const char *state = sqlstate_of(result);
    size_t i = 0;

    while (strncmp(state, outcomes[i].prefix, strlen(outcomes[i].prefix)) != 0) {
        i++;
    }
    *retry = outcomes[i].retry;
    return outcomes[i].status;
}

/* The server's primary message names tables and functions; the detail, which
 * may quote a row, is not logged. */
static void log_refusal(const gc_db_t *db, gc_sql_e statement, const PGresult *result,
                        apr_status_t rv)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (rv == GC_EEXIST || rv == GC_EGONE) {
        return;
    }
    gc_log(db->options.log,
           rv == GC_ESCHEMA     ? GEM0204
           : rv == GC_EDATABASE ? GEM0205
                                : GEM0203,
           "statement %s: SQLSTATE %s: %.200s", statements[statement].name, sqlstate_of(result),
           message ? message : "no message");
}

/* libpq keeps rows in many small blocks: after a large result the heap is full of
 * holes, and would stay as large. */
static apr_status_t clear_cb(void *result)
{
    size_t bytes = PQresultMemorySize(result);

    PQclear(result);
    if (bytes > LARGE_RESULT) {
        malloc_trim(0);
    }
    return APR_SUCCESS;
}

static gc_db_result_t *own(apr_pool_t *pool, PGresult *rows)
{
    gc_db_result_t *result = apr_palloc(pool, sizeof(*result));

    apr_pool_cleanup_register(pool, rows, clear_cb, apr_pool_cleanup_null);
    result->rows = rows;
    return result;
}

static retry_e settle(retry_e retry, gc_sql_e statement)
{
    return retry != AGAIN_TO_READ ? retry : statements[statement].reads ? AGAIN : FINAL;
}

/* For how long, whether it may wait for a connection of ours to be free, and whether no other try
 * follows. */
typedef struct try_t {
    apr_time_t end;
    int may_wait, is_last;
} try_t;

/* One try. *retry tells whether another is safe and may help. APR_EAGAIN: see borrow. */
static apr_status_t try_once(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                             const gc_db_params_t *params, const try_t *try, PGresult **rows,
                             retry_e *retry)
{
    gc_db_lease_t lease;
    apr_status_t rv = borrow(db, pool, try->end, try->may_wait, &lease);
    apr_time_t began = apr_time_now();
    int renewed;

    *retry = FINAL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = run_on(&lease, statement, params, deadline_of(db), rows);
    renewed = rv == APR_SUCCESS && !succeeded(*rows) && renew_sessions(db, &lease, *rows);
    give_back(db, &lease);
    if (rv != APR_SUCCESS) {
        *retry = settle(rv == APR_TIMEUP ? FINAL : AGAIN_TO_READ, statement);
        gc_log(db->options.log, GEM0203, "statement %s: %s", statements[statement].name,
               rv == APR_TIMEUP ? "time ran out" : "the connection broke");
        if (rv == APR_TIMEUP && !was_reached_since(db, began)) {
            note_reach(db, 0); /* not even statement_timeout was heard of: it hangs */
        }
        return GC_EUNKNOWN;
    }
    note_answer(db);
    if (!succeeded(*rows)) {
        rv = outcome_of(*rows, retry);
        *retry = renewed ? AGAIN : settle(*retry, statement);
        if (*retry == FINAL || try->is_last) {
            log_refusal(db, statement, *rows, rv);
        }
        PQclear(*rows);
        *rows = NULL;
    }
    return rv;
}

static apr_status_t run(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                        const gc_db_params_t *params, apr_time_t turn, PGresult **rows)
{
    apr_time_t end = turn + db->options.timeout;
    apr_status_t rv = enter(db, turn);
    retry_e retry = AGAIN;
    int tries = 0, waits = 0;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (retry == AGAIN && tries < TRIES) {
        const try_t try = {
            .end = end,
            .may_wait = waits++ < db->options.connections && apr_time_now() < turn,
            .is_last = tries == TRIES - 1,
        };

        rv = try_once(db, pool, statement, params, &try, rows, &retry);
        if (rv == APR_EAGAIN) {
            leave(db);
            rv = enter(db, turn);
            if (rv != APR_SUCCESS) {
                return rv;
            }
            retry = AGAIN;
        } else {
            tries++;
        }
    }
    leave(db);
    return rv;
}

/* The clock was read when Postgres answered, if it did; by another thread's answer it is a moment
 * later at most. */
static void count_outcome(gc_db_t *db, apr_status_t rv, apr_time_t began)
{
    apr_time_t reached = __atomic_load_n(&db->reached, __ATOMIC_RELAXED);
    gc_count_e what = rv == APR_SUCCESS       ? GC_COUNT_STATEMENT_OK
                      : rv == GC_EUNAVAILABLE ? GC_COUNT_STATEMENT_UNAVAILABLE
                      : rv == GC_EUNKNOWN     ? GC_COUNT_STATEMENT_UNKNOWN
                                              : GC_COUNT_STATEMENT_REFUSED;

    gc_metrics_count(db->options.metrics, what);
    if (rv == APR_SUCCESS) {
        gc_metrics_time(db->options.metrics, GC_TIME_STATEMENT, reached - began);
    }
}

apr_status_t gc_db_run(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                       const gc_db_params_t *params, gc_db_result_t **result)
{
    apr_time_t began = apr_time_now();
    PGresult *rows = NULL;
    apr_status_t rv = run(db, pool, statement, params, began + db->options.wait, &rows);

    count_outcome(db, rv, began);
    if (rv == APR_SUCCESS) {
        *result = own(pool, rows);
    }
    return rv;
}

apr_status_t gc_db_run_for_one(gc_db_t *db, apr_pool_t *pool, gc_sql_e statement,
                               const gc_db_params_t *params, gc_db_result_t **result)
{
    apr_status_t rv = gc_db_run(db, pool, statement, params, result);

    return rv == APR_SUCCESS && gc_db_rows(*result) == 0 ? GC_ENOENT : rv;
}

static apr_status_t prepare_all(gc_db_t *db, const gc_db_lease_t *lease, const char **missing)
{
    apr_time_t deadline = deadline_of(db);
    apr_status_t rv = APR_SUCCESS;
    PGresult *error = NULL;
    retry_e retry;
    int i;

    for (i = 0; i < GC_SQL_STATEMENTS && rv == APR_SUCCESS && !error; i++) {
        rv = prepare(lease, i, deadline, &error);
        *missing = statements[i].name;
    }
    if (rv == APR_SUCCESS && error) {
        rv = outcome_of(error, &retry);
        PQclear(error);
        return rv;
    }
    return rv == APR_SUCCESS ? rv : GC_EUNKNOWN;
}

apr_status_t gc_db_check(gc_db_t *db, apr_pool_t *pool, const char **missing)
{
    gc_db_result_t *result;
    gc_db_lease_t lease;
    apr_time_t end = apr_time_now() + db->options.wait + db->options.timeout;
    apr_status_t rv = gc_db_run(db, pool, GC_SQL_READY, NULL, &result);

    *missing = statements[GC_SQL_READY].name;
    if (rv != APR_SUCCESS || (rv = enter(db, end - db->options.timeout)) != APR_SUCCESS) {
        return rv;
    }
    rv = borrow(db, pool, end, 0, &lease);
    if (rv == APR_SUCCESS) {
        rv = prepare_all(db, &lease, missing);
        give_back(db, &lease);
    }
    leave(db);
    return rv;
}

/* --- Results ------------------------------------------------------------- */

int gc_db_rows(const gc_db_result_t *result)
{
    return PQntuples(result->rows);
}

int gc_db_affected(const gc_db_result_t *result)
{
    return (int)strtol(PQcmdTuples(result->rows), NULL, 10);
}

const char *gc_db_text(const gc_db_result_t *result, int row, int column)
{
    return PQgetisnull(result->rows, row, column) ? NULL : PQgetvalue(result->rows, row, column);
}

const char *gc_db_bytes(const gc_db_result_t *result, int row, int column, apr_size_t *len)
{
    *len = (apr_size_t)PQgetlength(result->rows, row, column);
    return gc_db_text(result, row, column);
}

/* Integers come big-endian, in the width of their type. */
apr_int64_t gc_db_int(const gc_db_result_t *result, int row, int column, apr_int64_t fallback)
{
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(result->rows, row, column);
    int len = PQgetlength(result->rows, row, column), i;
    apr_uint64_t number = 0;

    if (PQgetisnull(result->rows, row, column)) {
        return fallback;
    }
    if (bytes[0] & 0x80) {
        number = ~(apr_uint64_t)0;
    }
    for (i = 0; i < len; i++) {
        number = number << 8 | bytes[i];
    }
    return (apr_int64_t)number;
}

int gc_db_bool(const gc_db_result_t *result, int row, int column)
{
    return gc_db_int(result, row, column, 0) != 0;
}

gc_uuid_t gc_db_uuid(const gc_db_result_t *result, int row, int column)
{
    gc_uuid_t uuid = {{0}};

    if (PQgetlength(result->rows, row, column) == sizeof(uuid.bytes)) {
        memcpy(uuid.bytes, PQgetvalue(result->rows, row, column), sizeof(uuid.bytes));
    }
    return uuid;
}

apr_time_t gc_db_time(const gc_db_result_t *result, int row, int column)
{
    return PQgetisnull(result->rows, row, column) ? 0
                                                  : gc_db_int(result, row, column, 0) + GC_DB_EPOCH;
}
