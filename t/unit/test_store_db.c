/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of statements: parameters, results, loans of connections, and what is made of a
 * server's answers, against a backend that speaks just as much of Postgres' protocol.
 */
#include "clock.h"
#include "store_support.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libpq-fe.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/db.h"

enum {
    CONNECTIONS = 2,
    TIMEOUT_MS = 200,
    SHORT_MS = 50,
    PATIENT_MS = 60000, /* where time is no matter */
    SLOW_MS = 20000,    /* what a busy machine may add to anything */
    CALLERS = 6,
    TRIES = 3,      /* db.c's */
    RENEW_MS = 250, /* also */
};

static apr_pool_t *pool; /* of one test */

/* --- A gate ----------------------------------------------------------------- */

/* Where a test has somebody wait until it has seen what the others do meanwhile. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t opened;
    int is_shut, waiting;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static void set_gate(int is_shut)
{
    pthread_mutex_lock(&gate.mutex);
    gate.is_shut = is_shut;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.mutex);
}

static int count_at_gate(void)
{
    int waiting;

    pthread_mutex_lock(&gate.mutex);
    waiting = gate.waiting;
    pthread_mutex_unlock(&gate.mutex);
    return waiting;
}

static void pass_gate(void)
{
    pthread_mutex_lock(&gate.mutex);
    gate.waiting++;
    while (gate.is_shut) {
        pthread_cond_wait(&gate.opened, &gate.mutex);
    }
    gate.waiting--;
    pthread_mutex_unlock(&gate.mutex);
}

/* --- The backend ------------------------------------------------------------ */

/* What it does at each statement that is run, in this order, and then again from the last on:
 * "C<tag>" it is done, "E<SQLSTATE>" it is refused, "D" gives a row, "H" never answers,
 * "P<ms>" is done after so long, "G" when the gate is open, "X" closes the connection. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    const char *const *script;
    const char *prepare_error; /* SQLSTATE of all but so many: */
    int prepare_good;
    int connected, prepared, run;
    int bounded, timeout_ms; /* statement_timeout: how often it was set, to what */
    int compiles;            /* whether jit was left on */
    char bound[4096];        /* the last Bind message */
    size_t bound_len;
    pthread_t threads[64]; /* one a connection, after the first, which accepts */
    int fds[64], thread_count;
    int listener;
} backend = {.mutex = PTHREAD_MUTEX_INITIALIZER};

typedef struct {
    char bytes[1024];
    size_t len, start;
} packet_t;

static void add_int(packet_t *p, apr_uint32_t number, int width)
{
    while (width-- > 0) {
        p->bytes[p->len++] = (char)(number >> 8 * width);
    }
}

static void add_bytes(packet_t *p, const void *bytes, size_t len)
{
    memcpy(p->bytes + p->len, bytes, len);
    p->len += len;
}

static void add_text(packet_t *p, const char *text)
{
    add_bytes(p, text, strlen(text) + 1);
}

static void begin(packet_t *p, char type)
{
    p->bytes[p->len++] = type;
    p->start = p->len;
    p->len += 4;
}

static void end(packet_t *p)
{
    apr_uint32_t len = htonl((apr_uint32_t)(p->len - p->start));

    memcpy(p->bytes + p->start, &len, 4);
}

static void add_ready(packet_t *p)
{
    begin(p, 'Z');
    add_bytes(p, "I", 1);
    end(p);
}

static void add_error(packet_t *p, const char *sqlstate)
{
    begin(p, 'E');
    add_text(p, "SERROR");
    add_text(p, apr_psprintf(pool, "C%.5s", sqlstate));
    add_text(p, "Mrefused by the test");
    add_bytes(p, "", 1);
    end(p);
}

static void add_done(packet_t *p, const char *tag)
{
    begin(p, 'C');
    add_text(p, tag);
    end(p);
}

static const gc_uuid_t some_uuid = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc,
                                     0xba, 0x98, 0x76, 0x54, 0x32, 0x10}};

/* The columns of "D", in their binary forms. */
static const struct {
    const char *bytes;
    int len; /* -1: NULL */
} columns[] = {
    {"text \xC3\xA4", 7},
    {"", 0},
    {"", -1},
    {"\x7F\xFF", 2},
    {"\xFF\xFE", 2}, /* int2 */
    {"\x7F\xFF\xFF\xFF", 4},
    {"\x80\0\0\0", 4}, /* int4 */
    {"\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8},
    {"\x80\0\0\0\0\0\0\0", 8},
    {"\0\0\0\0\0\0\0\x2A", 8},
    {"\1", 1},
    {"\0", 1}, /* bool */
    {(const char *)some_uuid.bytes, 16},
    {"\0\0\0\0\0\0\0\0", 8},
    {"\0\0\0\0\0\0\0\1", 8},
    {"\xFF\xFC\xA2\xFE\xC4\xC8\x20\x00", 8}, /* timestamptz */
};
enum {
    TEXT,
    EMPTY,
    NONE,
    INT2,
    INT2_NEG,
    INT4,
    INT4_NEG,
    INT8,
    INT8_NEG,
    INT8_42,
    TRUTH,
    LIE,
    UUID,
    Y2000,
    Y2000_1,
    Y1970
};

static void add_row(packet_t *p)
{
    size_t i;

    begin(p, 'T');
    add_int(p, COUNT(columns), 2);
    for (i = 0; i < COUNT(columns); i++) {
        add_text(p, "c");
        add_int(p, 0, 4); /* table */
        add_int(p, 0, 2);
        add_int(p, 17, 4); /* type */
        add_int(p, 0xFFFF, 2);
        add_int(p, 0xFFFFFFFF, 4);
        add_int(p, 1, 2); /* binary */
    }
    end(p);
    begin(p, 'D');
    add_int(p, COUNT(columns), 2);
    for (i = 0; i < COUNT(columns); i++) {
        add_int(p, (apr_uint32_t)columns[i].len, 4);
        add_bytes(p, columns[i].bytes, columns[i].len > 0 ? (size_t)columns[i].len : 0);
    }
    end(p);
    add_done(p, "SELECT 1");
}

static int send_packet(int fd, const packet_t *p)
{
    return send(fd, p->bytes, p->len, MSG_NOSIGNAL) == (ssize_t)p->len;
}

static int receive(int fd, void *bytes, size_t len)
{
    return len == 0 || recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

/* The end of a prepare: 0 to hang up. */
static int answer_prepare(int fd)
{
    packet_t p = {.len = 0};

    pthread_mutex_lock(&backend.mutex);
    if (backend.prepared++ >= backend.prepare_good && backend.prepare_error) {
        add_error(&p, backend.prepare_error);
    } else {
        begin(&p, '1');
        end(&p);
    }
    pthread_mutex_unlock(&backend.mutex);
    add_ready(&p);
    return send_packet(fd, &p);
}

static const char *next_step(void)
{
    const char *step;

    pthread_mutex_lock(&backend.mutex);
    step = *backend.script;
    if (backend.script[1]) {
        backend.script++;
    }
    backend.run++;
    pthread_mutex_unlock(&backend.mutex);
    return step;
}

/* The end of a statement: 0 to hang up. */
static int answer_run(int fd)
{
    const char *step = next_step();
    packet_t p = {.len = 0};

    begin(&p, '2');
    end(&p);
    switch (step[0]) {
    case 'E':
        p.len = 0;
        pthread_mutex_lock(&backend.mutex);
        add_error(&p, step + 1);
        pthread_mutex_unlock(&backend.mutex);
        break;
    case 'D':
        add_row(&p);
        break;
    case 'P':
        apr_sleep(MS(atoi(step + 1)));
        add_done(&p, "UPDATE 1");
        break;
    case 'G':
        pass_gate();
        add_done(&p, "UPDATE 1");
        break;
    case 'H':
        return 1;
    case 'X':
        return 0;
    default:
        begin(&p, 'n');
        end(&p);
        add_done(&p, step + 1);
    }
    add_ready(&p);
    return send_packet(fd, &p);
}

/* SET statement_timeout and jit, which each session begins with. */
static int answer_query(int fd, const char *text)
{
    packet_t p = {.len = 0};

    pthread_mutex_lock(&backend.mutex);
    backend.bounded++;
    backend.timeout_ms = strncmp(text, "SET statement_timeout = ", 24) == 0 ? atoi(text + 24) : -1;
    backend.compiles = !strstr(text, "; SET jit = off");
    pthread_mutex_unlock(&backend.mutex);
    add_done(&p, "SET");
    add_ready(&p);
    return send_packet(fd, &p);
}

static void note_bound(const char *body, size_t len)
{
    pthread_mutex_lock(&backend.mutex);
    backend.bound_len = len;
    memcpy(backend.bound, body, len);
    pthread_mutex_unlock(&backend.mutex);
}

static int welcome(int fd)
{
    packet_t p = {.len = 0};
    char body[4096];
    apr_uint32_t len;

    if (!receive(fd, &len, 4) || ntohl(len) > sizeof(body) || !receive(fd, body, ntohl(len) - 4)) {
        return 0;
    }
    begin(&p, 'R');
    add_int(&p, 0, 4);
    end(&p);
    add_ready(&p);
    return send_packet(fd, &p);
}

static void *connection_thread(void *baton)
{
    int fd = *(int *)baton, binds = 0, good = welcome(fd);
    char type, body[4096];
    apr_uint32_t len;

    while (good && receive(fd, &type, 1) && receive(fd, &len, 4)
           && (len = ntohl(len) - 4) <= sizeof(body) && receive(fd, body, len) && type != 'X') {
        if (type == 'B') {
            note_bound(body, len);
            binds = 1;
        } else if (type == 'Q') {
            good = answer_query(fd, body);
        } else if (type == 'S') {
            good = binds ? answer_run(fd) : answer_prepare(fd);
            binds = 0;
        }
    }
    shutdown(fd, SHUT_RDWR);
    return NULL;
}

static void *accept_thread(void *baton)
{
    int fd;

    (void)baton;
    while ((fd = accept(backend.listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&backend.mutex);
        backend.connected++;
        backend.fds[++backend.thread_count] = fd;
        pthread_create(&backend.threads[backend.thread_count], NULL, connection_thread,
                       &backend.fds[backend.thread_count]);
        pthread_mutex_unlock(&backend.mutex);
    }
    return NULL;
}

static void backend_start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    backend.connected = backend.prepared = backend.run = backend.thread_count = 0;
    backend.bounded = backend.timeout_ms = 0;
    backend.prepare_good = 0;
    backend.prepare_error = NULL;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.1", server.dir);
    unlink(address.sun_path);
    backend.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(backend.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(backend.listener, 64), 0);
    assert_int_equal(pthread_create(&backend.threads[0], NULL, accept_thread, NULL), 0);
}

/* As a server does that stops: all that is connected is hung up on. */
static void backend_hang_up(void)
{
    int i;

    pthread_mutex_lock(&backend.mutex);
    for (i = 1; i <= backend.thread_count; i++) {
        shutdown(backend.fds[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&backend.mutex);
}

static void backend_stop(void)
{
    int i;

    shutdown(backend.listener, SHUT_RDWR);
    pthread_join(backend.threads[0], NULL);
    backend_hang_up();
    for (i = 1; i <= backend.thread_count; i++) {
        pthread_join(backend.threads[i], NULL);
        close(backend.fds[i]);
    }
    close(backend.listener);
    unlink(apr_pstrcat(pool, server.dir, "/.s.PGSQL.1", NULL));
}

/* One of its counters. */
static int seen(const int *counter)
{
    int count;

    pthread_mutex_lock(&backend.mutex);
    count = *counter;
    pthread_mutex_unlock(&backend.mutex);
    return count;
}

/* Until the end of the block that it stands in. */
#define SCRIPT(...) (backend.script = (const char *const[]){__VA_ARGS__, NULL})

/* --- The provider ----------------------------------------------------------- */

/* As mod_dbd does it: lends what was handed back, and makes a broken one anew. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    gc_db_lease_t idle[CALLERS];
    int idle_count;
    int fails;    /* open does */
    int is_gated; /* it waits at the gate */
    int delay_ms; /* which takes so long */
    int opens, closes, lent, most;
    int opening, most_opening;
    apr_time_t last_open;
    int ceiling; /* the server has no more connections for us; 0: it has */
} provider = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void finish(gc_db_lease_t *lease)
{
    PQfinish(lease->native);
    apr_pool_destroy(lease->pool);
}

static int take_idle(gc_db_lease_t *lease, int *fails)
{
    int found = 0, delay_ms, is_gated;

    pthread_mutex_lock(&provider.mutex);
    provider.opens++;
    if (++provider.opening > provider.most_opening) {
        provider.most_opening = provider.opening;
    }
    *fails = provider.fails;
    delay_ms = provider.delay_ms;
    is_gated = provider.is_gated;
    if (!*fails && provider.idle_count > 0) {
        *lease = provider.idle[--provider.idle_count];
        found = 1;
    }
    if (!found && provider.ceiling && provider.lent >= provider.ceiling) {
        *fails = 1;
    }
    if (!*fails && ++provider.lent > provider.most) {
        provider.most = provider.lent;
    }
    pthread_mutex_unlock(&provider.mutex);
    apr_sleep(MS(delay_ms));
    if (is_gated) {
        pass_gate();
    }
    pthread_mutex_lock(&provider.mutex);
    provider.opening--;
    pthread_mutex_unlock(&provider.mutex);
    return found;
}

static apr_status_t open_cb(void *baton, apr_pool_t *scratch, gc_db_lease_t *lease)
{
    int fails;

    assert(baton == &provider && scratch);
    if (take_idle(lease, &fails)) {
        if (PQstatus(lease->native) != CONNECTION_OK) {
            PQreset(lease->native);
        }
        if (PQstatus(lease->native) == CONNECTION_OK) {
            return APR_SUCCESS;
        }
        finish(lease);
    }
    if (fails) {
        return APR_EGENERAL;
    }
    apr_pool_create(&lease->pool, NULL);
    lease->handle = lease;
    lease->native = PQconnectdb(apr_psprintf(lease->pool,
                                             "host=%s port=1 user=u dbname=d sslmode=disable "
                                             "gssencmode=disable",
                                             server.dir));
    return APR_SUCCESS;
}

static void close_cb(void *baton, gc_db_lease_t *lease)
{
    assert(baton == &provider);
    pthread_mutex_lock(&provider.mutex);
    provider.closes++;
    provider.lent--;
    provider.idle[provider.idle_count++] = *lease;
    pthread_mutex_unlock(&provider.mutex);
}

static void provider_reset(void)
{
    while (provider.idle_count > 0) {
        finish(&provider.idle[--provider.idle_count]);
    }
    provider.fails = provider.is_gated = provider.delay_ms = provider.opens = provider.closes =
        provider.lent = provider.most = provider.most_opening = provider.ceiling = 0;
}

/* --- Running ---------------------------------------------------------------- */

static gc_db_t *db;
static gc_db_options_t options;

static void create(void)
{
    assert_int_equal(gc_db_create(pool, &options, &db), APR_SUCCESS);
}

static apr_status_t run_statement(gc_sql_e statement)
{
    gc_db_result_t *result;

    return gc_db_run(db, pool, statement, NULL, &result);
}

static apr_status_t run(void)
{
    return run_statement(GC_SQL_READY);
}

static void until_it_tries_again(void)
{
    clock_advance(GC_DB_RETRY_AFTER);
}

/* --- Statements ------------------------------------------------------------- */

static void test_statements(void **state)
{
    int i, k;

    (void)state;
    for (i = 0; i < GC_SQL_STATEMENTS; i++) {
        const char *text = gc_sql_text(i);

        assert_non_null(gc_sql_name(i));
        assert_non_null(text);
        assert_null(strstr(text, apr_psprintf(pool, "$%d", GC_DB_PARAMS + 1)));
        assert_null(strchr(text, ';')); /* one statement each */
        for (k = 0; k < i; k++) {
            assert_string_not_equal(gc_sql_name(i), gc_sql_name(k));
            assert_string_not_equal(text, gc_sql_text(k));
        }
    }
    assert_string_equal(gc_sql_name(GC_SQL_READY), "READY");
}

/* --- Parameters ------------------------------------------------------------- */

static void check_param(const gc_db_params_t *params, int i, const char *bytes, int len)
{
    assert_true(i < params->count);
    assert_int_equal(params->formats[i], len >= 0);
    if (!bytes) {
        assert_null(params->values[i]);
    } else if (len < 0) {
        assert_string_equal(params->values[i], bytes);
    } else {
        assert_int_equal(params->lengths[i], len);
        assert_memory_equal(params->values[i], bytes, (size_t)len);
    }
}

enum { AS_TEXT = -1 };

static void test_params(void **state)
{
    gc_db_params_t params = {.count = 0};

    (void)state;
    gc_db_add_text(&params, "text");
    gc_db_add_text(&params, NULL);
    gc_db_add_text(&params, "");
    gc_db_add_bytes(&params, "a\0b", 3);
    gc_db_add_uuid(&params, &some_uuid);
    gc_db_add_int(&params, INT64_MIN);
    gc_db_add_int(&params, INT64_MAX);
    gc_db_add_int_or_null(&params, -1);
    gc_db_add_int_or_null(&params, 0);
    gc_db_add_bool(&params, 0);
    gc_db_add_bool(&params, 4);
    gc_db_add_interval(&params, apr_time_from_sec(90));
    gc_db_add_interval(&params, INT64_MIN);
    assert_int_equal(params.count, 13);
    check_param(&params, 0, "text", AS_TEXT);
    check_param(&params, 1, NULL, AS_TEXT);
    check_param(&params, 2, "", AS_TEXT);
    check_param(&params, 3, "a\0b", 3);
    check_param(&params, 4, (const char *)some_uuid.bytes, 16);
    check_param(&params, 5, "-9223372036854775808", AS_TEXT);
    check_param(&params, 6, "9223372036854775807", AS_TEXT);
    check_param(&params, 7, NULL, AS_TEXT);
    check_param(&params, 8, "0", AS_TEXT);
    check_param(&params, 9, "f", AS_TEXT);
    check_param(&params, 10, "t", AS_TEXT);
    check_param(&params, 11, "90000000 us", AS_TEXT);
    check_param(&params, 12, "-9223372036854775808 us", AS_TEXT);
}

/* Each has room of its own for what it is made into. */
static void test_as_many_params_as_there_may_be(void **state)
{
    gc_db_params_t params = {.count = 0};
    int i;

    (void)state;
    for (i = 0; i < GC_DB_PARAMS; i++) {
        gc_db_add_int(&params, INT64_MIN + i);
    }
    for (i = 0; i < GC_DB_PARAMS; i++) {
        check_param(&params, i, apr_psprintf(pool, "%" APR_INT64_T_FMT, INT64_MIN + i), AS_TEXT);
    }
}

static void test_times(void **state)
{
    static const struct {
        apr_time_t time;
        const char *bytes;
    } cases[] = {
        {INT64_C(946684800000000), "\0\0\0\0\0\0\0\0"},
        {INT64_C(946684800000001), "\0\0\0\0\0\0\0\1"},
        {INT64_C(946684799999999), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"},
        {0, "\xFF\xFC\xA2\xFE\xC4\xC8\x20\0"},
        {INT64_C(1795409257990896), "\0\x03\x03\xE9\x0F\xD4\xAA\xF0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_db_params_t params = {.count = 0};

        gc_db_add_time(&params, cases[i].time);
        assert_int_equal(params.count, 1);
        check_param(&params, 0, cases[i].bytes, 8);
    }
}

/* --- Arrays ----------------------------------------------------------------- */

static void test_arrays(void **state)
{
    static const char texts[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\4\0\0\0\1"
                                "\0\0\0\3one\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\3a\0b";
    static const char numbers[] = "\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\3\0\0\0\1"
                                  "\0\0\0\4\0\0\0\x2A\0\0\0\4\xFF\xFF\xFF\xFE\0\0\0\4\x80\0\0\0";
    static const char long_numbers[] = "\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\2\0\0\0\1"
                                       "\0\0\0\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"
                                       "\0\0\0\x08\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    gc_db_params_t params = {.count = 0};
    gc_db_array_t array;

    (void)state;
    gc_db_add_bool(&params, 1);
    gc_db_array_begin(&array, pool, GC_DB_TEXT);
    gc_db_array_add(&array, "one", 3);
    gc_db_array_add(&array, NULL, 0);
    gc_db_array_add(&array, "", 0);
    gc_db_array_add(&array, "a\0b", 3);
    gc_db_array_end(&array, &params);
    gc_db_array_begin(&array, pool, GC_DB_INT4);
    gc_db_array_add_int(&array, 42);
    gc_db_array_add_int(&array, -2);
    gc_db_array_add_int(&array, INT32_MIN);
    gc_db_array_end(&array, &params);
    gc_db_array_begin(&array, pool, GC_DB_INT8);
    gc_db_array_add_int(&array, -2);
    gc_db_array_add_int(&array, INT64_MAX);
    gc_db_array_end(&array, &params);
    assert_int_equal(params.count, 4);
    check_param(&params, 1, texts, sizeof(texts) - 1);
    check_param(&params, 2, numbers, sizeof(numbers) - 1);
    check_param(&params, 3, long_numbers, sizeof(long_numbers) - 1);
}

static void test_array_of_any_length(void **state)
{
    static const int counts[] = {0, 1, 11, 12, 13, 1000};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < COUNT(counts); i++) {
        gc_db_params_t params = {.count = 0};
        gc_db_array_t array;
        const char *at;

        gc_db_array_begin(&array, pool, GC_DB_UUID);
        for (k = 0; k < counts[i]; k++) {
            gc_db_array_add(&array, some_uuid.bytes, 16);
        }
        gc_db_array_end(&array, &params);
        assert_int_equal(params.lengths[0], 20 + 20 * counts[i]);
        at = params.values[0];
        assert_int_equal(at[14] << 8 | (unsigned char)at[15], counts[i]);
        for (k = 0, at += 20; k < counts[i]; k++, at += 20) {
            assert_memory_equal(at, "\0\0\0\x10", 4);
            assert_memory_equal(at + 4, some_uuid.bytes, 16);
        }
    }
}

/* --- Results ---------------------------------------------------------------- */

static void test_results(void **state)
{
    gc_db_result_t *r;
    gc_uuid_t uuid;

    (void)state;
    SCRIPT("D");
    assert_int_equal(gc_db_run(db, pool, GC_SQL_READY, NULL, &r), APR_SUCCESS);
    assert_int_equal(gc_db_rows(r), 1);
    assert_string_equal(gc_db_text(r, 0, TEXT), "text \xC3\xA4");
    assert_string_equal(gc_db_text(r, 0, EMPTY), "");
    assert_null(gc_db_text(r, 0, NONE));
    assert_true(gc_db_int(r, 0, INT2, 7) == INT16_MAX);
    assert_true(gc_db_int(r, 0, INT2_NEG, 7) == -2);
    assert_true(gc_db_int(r, 0, INT4, 7) == INT32_MAX);
    assert_true(gc_db_int(r, 0, INT4_NEG, 7) == INT32_MIN);
    assert_true(gc_db_int(r, 0, INT8, 7) == INT64_MAX);
    assert_true(gc_db_int(r, 0, INT8_NEG, 7) == INT64_MIN);
    assert_true(gc_db_int(r, 0, INT8_42, 7) == 42);
    assert_true(gc_db_int(r, 0, NONE, -7) == -7);
    assert_true(gc_db_bool(r, 0, TRUTH));
    assert_false(gc_db_bool(r, 0, LIE));
    assert_false(gc_db_bool(r, 0, NONE));
    uuid = gc_db_uuid(r, 0, UUID);
    assert_true(gc_uuid_equal(&uuid, &some_uuid));
    uuid = gc_db_uuid(r, 0, NONE);
    assert_true(gc_uuid_equal(&uuid, &(gc_uuid_t){{0}}));
    assert_true(gc_db_time(r, 0, Y2000) == INT64_C(946684800000000));
    assert_true(gc_db_time(r, 0, Y2000_1) == INT64_C(946684800000001));
    assert_true(gc_db_time(r, 0, Y1970) == 0);
    assert_true(gc_db_time(r, 0, NONE) == 0);
}

static void test_affected(void **state)
{
    static const struct {
        const char *tag;
        int rows;
    } cases[] = {{"CINSERT 0 1", 1}, {"CUPDATE 3", 3}, {"CDELETE 0", 0}, {"CCREATE TABLE", 0}};
    gc_db_result_t *result;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        SCRIPT(cases[i].tag);
        assert_int_equal(gc_db_run(db, pool, GC_SQL_READY, NULL, &result), APR_SUCCESS);
        assert_int_equal(gc_db_affected(result), cases[i].rows);
        assert_int_equal(gc_db_rows(result), 0);
    }
}

/* Parameters arrive as they were added. */
static void test_bound(void **state)
{
    static const char expected[] = "\0\3\0\0\0\1\0\0" /* formats */
                                   "\0\3\0\0\0\4text\0\0\0\3a\0b\xFF\xFF\xFF\xFF"
                                   "\0\1\0\1"; /* results in binary */
    gc_db_params_t params = {.count = 0};
    gc_db_result_t *result;

    (void)state;
    gc_db_add_text(&params, "text");
    gc_db_add_bytes(&params, "a\0b", 3);
    gc_db_add_text(&params, NULL);
    assert_int_equal(gc_db_run(db, pool, GC_SQL_USER_CREATE, &params, &result), APR_SUCCESS);
    assert_true(backend.bound_len > sizeof(expected) - 1);
    assert_memory_equal(backend.bound + backend.bound_len - (sizeof(expected) - 1), expected,
                        sizeof(expected) - 1);
}

/* --- What is made of the server's answers ------------------------------------ */

static void test_outcomes(void **state)
{
    static const struct {
        const char *step;
        apr_status_t rv;
        int tries;
        const char *logged;
    } cases[] = {
        {"E23505", GC_EEXIST, 1, ""},
        {"E23503", GC_EGONE, 1, ""},
        {"E23514", GC_EDATABASE, 1, "GEM0205 "},
        {"E40001", GC_EUNAVAILABLE, TRIES, "GEM0203 "},
        {"E40P01", GC_EUNAVAILABLE, TRIES, "GEM0203 "},
        {"E26000", GC_EUNAVAILABLE, TRIES, "GEM0203 "},
        {"E0A000", GC_EUNAVAILABLE, TRIES, "GEM0203 "},
        {"E53300", GC_EUNAVAILABLE, 1, "GEM0203 "},
        {"E53100", GC_EUNAVAILABLE, 1, "GEM0203 "},
        {"E55P03", GC_EUNAVAILABLE, 1, "GEM0203 "},
        {"E57014", GC_EUNAVAILABLE, 1, "GEM0203 "},
        {"E57P01", GC_EUNAVAILABLE, TRIES, "GEM0203 "},
        {"E08006", GC_EUNAVAILABLE, 1, "GEM0203 "},
        {"E3F000", GC_ESCHEMA, 1, "GEM0204 "},
        {"E42501", GC_ESCHEMA, 1, "GEM0204 "},
        {"E42P01", GC_ESCHEMA, 1, "GEM0204 "},
        {"E42703", GC_ESCHEMA, 1, "GEM0204 "},
        {"E42883", GC_ESCHEMA, 1, "GEM0204 "},
        {"E42601", GC_EDATABASE, 1, "GEM0205 "},
        {"E22008", GC_EDATABASE, 1, "GEM0205 "},
        {"EXX000", GC_EDATABASE, 1, "GEM0205 "},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        int before = seen(&backend.run);

        SCRIPT(cases[i].step);
        if (run() != cases[i].rv || seen(&backend.run) - before != cases[i].tries) {
            fail_msg("%s: %d tries", cases[i].step, seen(&backend.run) - before);
        }
        check_logged(cases[i].logged);
        SCRIPT("CSELECT 0"); /* the connection is as good as before */
        assert_int_equal(run(), APR_SUCCESS);
    }
    assert_int_equal(seen(&backend.connected), 1 + TRIES); /* the first, and what is outgrown */
    assert_int_equal(provider.opens, provider.closes);
}

static void test_second_try(void **state)
{
    (void)state;
    SCRIPT("E40P01", "E40001", "CUPDATE 1");
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(seen(&backend.run), 3);
    check_logged("");
}

static void test_prepared_once(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(run_statement(GC_SQL_READY), APR_SUCCESS);
        assert_int_equal(run_statement(GC_SQL_USER_GET), APR_SUCCESS);
    }
    assert_int_equal(seen(&backend.prepared), 2);
    assert_int_equal(seen(&backend.run), 6);
}

/* Postgres itself ends what takes too long: a connection is told once. */
static void test_bounded_once(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(run(), APR_SUCCESS);
    }
    assert_int_equal(seen(&backend.bounded), 1);
    assert_int_equal(seen(&backend.timeout_ms), options.timeout / 1000);
    assert_int_equal(seen(&backend.compiles), 0);
    backend_hang_up();
    apr_sleep(MS(50));
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(seen(&backend.bounded), 2);
}

/* The connection was reset under us: all is prepared anew. */
static void test_prepared_anew(void **state)
{
    (void)state;
    assert_int_equal(run_statement(GC_SQL_READY), APR_SUCCESS);
    assert_int_equal(run_statement(GC_SQL_USER_GET), APR_SUCCESS);
    SCRIPT("E26000", "CSELECT 0");
    assert_int_equal(run_statement(GC_SQL_READY), APR_SUCCESS);
    assert_int_equal(seen(&backend.prepared), 3);
    assert_int_equal(run_statement(GC_SQL_USER_GET), APR_SUCCESS);
    assert_int_equal(seen(&backend.prepared), 4);
    check_logged("");
}

static void test_prepare_refused(void **state)
{
    (void)state;
    backend.prepare_error = "42P01";
    assert_int_equal(run(), GC_ESCHEMA);
    assert_int_equal(seen(&backend.run), 0);
    check_logged("GEM0204 ");
    backend.prepare_error = "42P05"; /* it is there already */
    assert_int_equal(run(), APR_SUCCESS);
    check_logged("");
}

/* Every statement is held against the schema, once a connection. */
static void test_check(void **state)
{
    const char *missing;

    (void)state;
    assert_int_equal(gc_db_check(db, pool, &missing), APR_SUCCESS);
    assert_int_equal(seen(&backend.prepared), GC_SQL_STATEMENTS);
    assert_int_equal(gc_db_check(db, pool, &missing), APR_SUCCESS);
    assert_int_equal(seen(&backend.prepared), GC_SQL_STATEMENTS);
    assert_int_equal(seen(&backend.run), 2);
    assert_int_equal(provider.opens, provider.closes);
}

static void test_check_refused(void **state)
{
    const char *missing = NULL;

    (void)state;
    backend.prepare_error = "42703";
    backend.prepare_good = 3;
    assert_int_equal(gc_db_check(db, pool, &missing), GC_ESCHEMA);
    assert_string_equal(missing, gc_sql_name(3));
    assert_int_equal(gc_db_check(db, pool, &missing), GC_ESCHEMA);
    backend.prepare_error = NULL; /* the migration has run */
    assert_int_equal(gc_db_check(db, pool, &missing), APR_SUCCESS);
    provider.fails = 1;
    assert_int_equal(gc_db_check(db, pool, &missing), GC_EUNAVAILABLE);
    assert_in_range(provider.opens, provider.closes + 1, provider.closes + 1 + CONNECTIONS);
}

/* --- Broken connections ------------------------------------------------------ */

/* The statement was sent: nobody knows what became of it, so it is not sent again. */
static void check_unknown(const char *step, gc_sql_e statement)
{
    int hangs = *step == 'H';

    options.timeout = MS(hangs ? TIMEOUT_MS : PATIENT_MS);
    create();
    SCRIPT("CSELECT 0", step, "CSELECT 0");
    assert_int_equal(run_statement(statement), APR_SUCCESS);
    assert_int_equal(run_statement(statement), GC_EUNKNOWN);
    assert_int_equal(seen(&backend.run), 2);
    check_logged(hangs ? "GEM0203 GEM0201 " : "GEM0203 ");
    if (hangs) {
        assert_int_equal(run_statement(statement), GC_EUNAVAILABLE); /* at once */
        until_it_tries_again();
    }
    assert_int_equal(run_statement(statement), APR_SUCCESS); /* on a new connection */
    assert_int_equal(seen(&backend.connected), 2);
    assert_int_equal(seen(&backend.prepared), 2);
    assert_int_equal(provider.opens, provider.closes);
    check_logged(hangs ? "GEM0202 " : "");
}

static void test_no_answer(void **state)
{
    apr_time_t before = real_now();

    (void)state;
    check_unknown("H", GC_SQL_READY);
    check_elapsed(before, TIMEOUT_MS - 10, TIMEOUT_MS + SLOW_MS);
}

static void test_hung_up_on(void **state)
{
    apr_time_t before = real_now();

    (void)state;
    check_unknown("X", GC_SQL_SWEEP);
    check_elapsed(before, 0, SLOW_MS);
}

/* What only reads may be tried again, whatever became of it; what writes may not: Postgres may tell
 * so after it has committed. */
static void test_cut(void **state)
{
    (void)state;
    SCRIPT("CSELECT 0", "X", "CSELECT 0");
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(seen(&backend.run), 3);
    check_logged("GEM0203 ");
    {
        int before = seen(&backend.run);

        SCRIPT("E57P01", "CSELECT 0");
        assert_int_equal(run(), APR_SUCCESS);
        assert_int_equal(seen(&backend.run) - before, 2);
        check_logged("");
    }
    {
        int before = seen(&backend.run);

        SCRIPT("E57P01", "CSELECT 0");
        assert_int_equal(run_statement(GC_SQL_SWEEP), GC_EUNAVAILABLE);
        assert_int_equal(seen(&backend.run) - before, 1);
        check_logged("GEM0203 ");
    }
}

/* Those that died in the pool are noticed before anything is sent. */
static void test_stale(void **state)
{
    (void)state;
    assert_int_equal(run(), APR_SUCCESS);
    backend_hang_up();
    apr_sleep(MS(20));
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(seen(&backend.connected), 2);
    assert_int_equal(seen(&backend.run), 2);
    assert_int_equal(provider.opens, provider.closes);
    check_logged("");
}

/* A provider that lends nothing but broken ones is not asked for ever. */
static void test_always_stale(void **state)
{
    (void)state;
    backend_stop();
    assert_int_equal(run(), GC_EUNAVAILABLE);
    assert_in_range(provider.opens, 1, CONNECTIONS + 1);
    assert_int_equal(provider.opens, provider.closes);
    check_logged("GEM0201 ");
    backend_start();
}

/* --- While Postgres is away -------------------------------------------------- */

static void test_one_a_second(void **state)
{
    int i;

    (void)state;
    provider.fails = 1;
    assert_int_equal(run(), GC_EUNAVAILABLE);
    check_logged("GEM0201 ");
    for (i = 0; i < 10; i++) {
        assert_int_equal(run(), GC_EUNAVAILABLE);
    }
    assert_int_equal(provider.opens, 1);
    until_it_tries_again();
    for (i = 0; i < 10; i++) {
        assert_int_equal(run(), GC_EUNAVAILABLE);
    }
    assert_int_equal(provider.opens, 2);
    check_logged("");
    provider.fails = 0;
    assert_int_equal(run(), GC_EUNAVAILABLE); /* nobody has looked yet */
    until_it_tries_again();
    assert_int_equal(run(), APR_SUCCESS);
    assert_int_equal(run(), APR_SUCCESS);
    check_logged("GEM0202 ");
    assert_int_equal(provider.closes, 2);
}

/* --- Many callers ------------------------------------------------------------ */

typedef struct {
    pthread_t thread;
    apr_status_t rv;
} caller_t;

static int ended_callers; /* atomic */

static void *caller_thread(void *baton)
{
    caller_t *caller = baton;
    gc_db_result_t *result;
    apr_pool_t *own;

    apr_pool_create(&own, NULL);
    caller->rv = gc_db_run(db, own, GC_SQL_READY, NULL, &result);
    apr_pool_destroy(own);
    __atomic_fetch_add(&ended_callers, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void start_callers(caller_t callers[CALLERS])
{
    int i;

    __atomic_store_n(&ended_callers, 0, __ATOMIC_SEQ_CST);
    for (i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_thread, &callers[i]), 0);
    }
}

static void join_callers(caller_t callers[CALLERS])
{
    int i;

    for (i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
    }
}

static void run_callers(caller_t callers[CALLERS])
{
    start_callers(callers);
    join_callers(callers);
}

/* So many wait at the gate until it opens, and all others end before: time goes on once those are
 * there. */
static void check_waiting(caller_t callers[CALLERS], int waiting)
{
    int tries, ended = 0;

    set_gate(1);
    start_callers(callers);
    for (tries = 0; tries < SLOW_MS / 10 && ended < CALLERS - waiting; tries++) {
        apr_sleep(MS(10));
        clock_advance(count_at_gate() == waiting ? MS(10) : 0);
        ended = __atomic_load_n(&ended_callers, __ATOMIC_SEQ_CST);
    }
    set_gate(0);
    join_callers(callers);
    assert_int_equal(ended, CALLERS - waiting);
}

static int count_good(const caller_t callers[CALLERS])
{
    int count = 0, i;

    for (i = 0; i < CALLERS; i++) {
        assert_true(callers[i].rv == APR_SUCCESS || callers[i].rv == GC_EUNAVAILABLE);
        count += callers[i].rv == APR_SUCCESS;
    }
    return count;
}

/* Never more on loan than there may be; the others wait for their turn. */
static void test_bound_of_loans(void **state)
{
    caller_t callers[CALLERS];

    (void)state;
    SCRIPT("P50");
    run_callers(callers);
    assert_int_equal(count_good(callers), CALLERS);
    assert_int_equal(provider.most, CONNECTIONS);
    assert_in_range(seen(&backend.connected), 1, CONNECTIONS);
    check_logged("");
}

/* A server that has no more connections for us is not away: those that we have serve all. */
static void test_no_more_connections(void **state)
{
    caller_t callers[CALLERS];
    int round;

    (void)state;
    options.connections = CALLERS;
    create();
    assert_int_equal(run(), APR_SUCCESS);
    provider.ceiling = 1;
    SCRIPT("P30");
    for (round = 0; round < 3; round++) {
        run_callers(callers);
        assert_int_equal(count_good(callers), CALLERS);
    }
    assert_int_equal(seen(&backend.connected), 1);
    check_logged("");
}

/* But not for longer than they may. */
static void test_bound_of_waiting(void **state)
{
    caller_t callers[CALLERS];

    (void)state;
    options.wait = MS(SHORT_MS);
    create();
    SCRIPT("G");
    check_waiting(callers, CONNECTIONS);
    assert_int_equal(count_good(callers), CONNECTIONS);
    check_logged("GEM0206 GEM0206 GEM0206 GEM0206 ");
}

/* mod_dbd's lock is never waited for: they take turns at it, */
static void test_one_opens(void **state)
{
    caller_t callers[CALLERS];

    (void)state;
    options.connections = CALLERS;
    create();
    provider.delay_ms = 50;
    run_callers(callers);
    assert_int_equal(count_good(callers), CALLERS);
    assert_int_equal(provider.most_opening, 1);
    check_logged("");
}

/* and wait no longer for that than for a connection. */
static void test_bound_of_opening(void **state)
{
    caller_t callers[CALLERS];

    (void)state;
    options.connections = CALLERS;
    options.wait = MS(SHORT_MS);
    create();
    provider.is_gated = 1;
    check_waiting(callers, 1);
    assert_int_equal(count_good(callers), 1);
    assert_int_equal(provider.opens, 1);
    check_logged("GEM0206 GEM0206 GEM0206 GEM0206 GEM0206 ");
}

/* Of those that come while it is away one looks, however long that takes; the others do not wait.
 */
static void test_one_looks(void **state)
{
    caller_t callers[CALLERS];

    (void)state;
    provider.fails = 1;
    assert_int_equal(run(), GC_EUNAVAILABLE);
    until_it_tries_again();
    provider.is_gated = 1;
    check_waiting(callers, 1);
    assert_int_equal(count_good(callers), 0);
    assert_int_equal(provider.opens, 2);
    check_logged("GEM0201 ");
}

/* Those that wait for a connection when it turns out that there is none are told then, all of them:
 * not when their own time is over. */
static void test_waiting_when_it_goes(void **state)
{
    caller_t callers[CALLERS];
    apr_time_t before = real_now();

    (void)state;
    options.connections = 1;
    create();
    provider.fails = 1;
    provider.delay_ms = 200;
    run_callers(callers);
    assert_int_equal(count_good(callers), 0);
    check_elapsed(before, 0, SLOW_MS);
    assert_int_equal(provider.opens, 1);
    check_logged("GEM0201 ");
}

/* A session that may not write costs no request, and takes those of its age along; */
static void test_read_only(void **state)
{
    caller_t callers[CALLERS];
    int before;

    (void)state;
    SCRIPT("P50");
    run_callers(callers);
    clock_advance(MS(RENEW_MS));
    before = seen(&backend.connected);
    assert_in_range(before, 1, CONNECTIONS);
    SCRIPT("E25006", "CSELECT 0");
    assert_int_equal(run(), APR_SUCCESS);
    SCRIPT("P50");
    run_callers(callers);
    assert_int_equal(count_good(callers), CALLERS);
    assert_in_range(seen(&backend.connected), before + 1, before + CONNECTIONS);
    assert_int_equal(provider.idle_count, seen(&backend.connected) - before);
    check_logged("");
}

/* but while there are no others it is not asked for a new one each time. */
static void test_read_only_for_long(void **state)
{
    int i;

    (void)state;
    SCRIPT("E25006");
    for (i = 0; i < 50; i++) {
        assert_int_equal(run(), GC_EUNAVAILABLE);
    }
    assert_int_equal(seen(&backend.connected), 1);
    clock_advance(MS(RENEW_MS));
    for (i = 0; i < 50; i++) {
        assert_int_equal(run(), GC_EUNAVAILABLE);
    }
    assert_int_equal(seen(&backend.connected), 2);
    forget_logged();
}

/* What was prepared for a schema that has changed since is prepared anew, by another session;
 * however young the one is that has prepared it. */
static void test_outgrown(void **state)
{
    int young, before;

    (void)state;
    for (young = 0; young <= 1; young++) {
        SCRIPT("CSELECT 0");
        assert_int_equal(run(), APR_SUCCESS);
        clock_advance(young ? 0 : MS(RENEW_MS));
        before = seen(&backend.connected);
        SCRIPT("E0A000", "CSELECT 0");
        assert_int_equal(run(), APR_SUCCESS);
        assert_int_equal(seen(&backend.connected), before + 1);
        check_logged("");
    }
}

/* --- The frame --------------------------------------------------------------- */

static int setup(void **state)
{
    static const char *const script[] = {"CSELECT 0", NULL};

    (void)state;
    apr_pool_create(&pool, NULL);
    forget_logged();
    clock_stop();
    backend.script = script;
    backend_start();
    options = (gc_db_options_t){.provider = {open_cb, close_cb, &provider},
                                .log = &log_sink,
                                .timeout = MS(PATIENT_MS),
                                .wait = MS(PATIENT_MS),
                                .connections = CONNECTIONS};
    create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(provider.lent, 0);
    provider_reset();
    backend_stop();
    apr_pool_destroy(pool);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    return support_begin();
}

static int group_teardown(void **state)
{
    (void)state;
    return support_end();
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_statements),
        DB_TEST(test_params),
        DB_TEST(test_as_many_params_as_there_may_be),
        DB_TEST(test_times),
        DB_TEST(test_arrays),
        DB_TEST(test_array_of_any_length),
        DB_TEST(test_results),
        DB_TEST(test_affected),
        DB_TEST(test_bound),
        DB_TEST(test_outcomes),
        DB_TEST(test_second_try),
        DB_TEST(test_prepared_once),
        DB_TEST(test_bounded_once),
        DB_TEST(test_prepared_anew),
        DB_TEST(test_prepare_refused),
        DB_TEST(test_check),
        DB_TEST(test_check_refused),
        DB_TEST(test_no_answer),
        DB_TEST(test_hung_up_on),
        DB_TEST(test_cut),
        DB_TEST(test_stale),
        DB_TEST(test_always_stale),
        DB_TEST(test_one_a_second),
        DB_TEST(test_bound_of_loans),
        DB_TEST(test_no_more_connections),
        DB_TEST(test_bound_of_waiting),
        DB_TEST(test_read_only),
        DB_TEST(test_read_only_for_long),
        DB_TEST(test_outgrown),
        DB_TEST(test_one_opens),
        DB_TEST(test_bound_of_opening),
        DB_TEST(test_one_looks),
        DB_TEST(test_waiting_when_it_goes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
