/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of who gets which part of a reply: on a loop in its own thread, with viewers that
 * write down what they got. Postgres never answers here.
 */
#include "log_support.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_general.h>
#include <sodium.h>

#include "stream/hub.h"

enum { PATIENCE_S = 60, BUFFER = 4096 };

static apr_pool_t *pool;
static gc_companion_t *companion;
static gc_hub_t *hub;

/* --- On the loop ----------------------------------------------------------- */

typedef struct {
    gc_loop_task_t task;
    void (*call)(void);
    sem_t done;
} errand_t;

static void errand_cb(void *baton)
{
    errand_t *e = baton;

    e->call();
    sem_post(&e->done);
}

/* Runs a function on the loop and waits for it. Assertions stand outside. */
static void on_loop(void (*call)(void))
{
    errand_t e = {.call = call};

    e.task.call = errand_cb;
    e.task.baton = &e;
    sem_init(&e.done, 0, 0);
    gc_loop_post(gc_companion_loop(companion), &e.task);
    while (sem_wait(&e.done) != 0) {
    }
    sem_destroy(&e.done);
}

/* --- Viewers --------------------------------------------------------------- */

typedef struct {
    gc_viewer_t viewer; /* first */
    char got[65536];
    size_t len;
    int state; /* that it answers with */
    int ends, drops;
} reader_t;

static int write_cb(gc_viewer_t *viewer, const char *bytes, apr_size_t len)
{
    reader_t *r = (reader_t *)viewer;

    if (r->len + len < sizeof(r->got)) {
        memcpy(r->got + r->len, bytes, len);
        r->len += len;
        r->got[r->len] = '\0';
    }
    return r->state;
}

static void end_cb(gc_viewer_t *viewer, int dropped)
{
    reader_t *r = (reader_t *)viewer;

    r->ends++;
    r->drops += dropped;
}

static const gc_viewer_type_t type = {write_cb, end_cb};

static reader_t readers[3];

static void begin_readers(apr_int64_t reply)
{
    size_t i;

    memset(readers, 0, sizeof(readers));
    for (i = 0; i < 3; i++) {
        readers[i].viewer.type = &type;
        readers[i].viewer.ref.reply = reply;
        readers[i].state = GC_VIEWER_READY;
    }
}

static void attach_first(void)
{
    gc_loop_hub_attach(hub, &readers[0].viewer);
}

static void attach_second(void)
{
    gc_loop_hub_attach(hub, &readers[1].viewer);
}

static void detach_all(void)
{
    size_t i;

    for (i = 0; i < 3; i++) {
        gc_loop_hub_detach(hub, &readers[i].viewer);
    }
}

static void ready_first(void)
{
    readers[0].state = GC_VIEWER_READY;
    gc_loop_hub_ready(hub, &readers[0].viewer);
}

/* --- The worker's part ------------------------------------------------------ */

static const char *text;
static apr_int64_t reply, fence;
static int over;

static void show(void)
{
    static const gc_uuid_t room;

    gc_hub_sink(hub)->text(gc_hub_sink(hub)->baton, &room, reply, fence, text, strlen(text));
}

static void leave(void)
{
    gc_hub_sink(hub)->left(gc_hub_sink(hub)->baton, reply, fence, over);
}

static void tell(apr_int64_t under, const char *all)
{
    fence = under;
    text = all;
    on_loop(show);
}

#define DELTA(id, part) "id: " id "\nevent: delta\ndata: {\"text\":\"" part "\"}\n\n"
#define RESET(id) "id: " id "\nevent: reset\ndata: {}\n\n"

static void test_text_grows(void **state)
{
    (void)state;
    reply = 1;
    begin_readers(reply);
    on_loop(attach_first);
    tell(1, "");
    tell(1, "ab");
    on_loop(attach_second);
    tell(1, "abcd");
    assert_string_equal(readers[0].got, DELTA("1-2", "ab") DELTA("1-4", "cd"));
    assert_string_equal(readers[1].got, DELTA("1-2", "ab") DELTA("1-4", "cd"));
    on_loop(detach_all);
    tell(1, "abcdef");
    assert_int_equal(readers[0].len, strlen(DELTA("1-2", "ab") DELTA("1-4", "cd")));
    assert_int_equal(readers[0].ends + readers[1].ends, 0);
    on_loop(leave);
}

static void test_places(void **state)
{
    (void)state;
    reply = 2;
    begin_readers(reply);
    tell(5, "abcdef");
    readers[0].viewer.at = (gc_event_id_t){.fence = 5, .offset = 4};
    readers[1].viewer.at = (gc_event_id_t){.fence = 4, .offset = 2};
    on_loop(attach_first);
    on_loop(attach_second);
    assert_string_equal(readers[0].got, DELTA("5-6", "ef"));
    assert_string_equal(readers[1].got, RESET("5-0") DELTA("5-6", "abcdef"));
    on_loop(detach_all);
    on_loop(leave);
}

/* A character that has not come whole waits for its rest. */
static void test_split_character(void **state)
{
    (void)state;
    reply = 3;
    begin_readers(reply);
    on_loop(attach_first);
    tell(1, "a\xf0\x9f");
    tell(1, "a\xf0\x9f\x8e\x88z");
    assert_string_equal(readers[0].got, DELTA("1-1", "a") DELTA("1-6", "\xf0\x9f\x8e\x88z"));
    on_loop(detach_all);
    on_loop(leave);
}

static void test_another_try(void **state)
{
    (void)state;
    reply = 4;
    begin_readers(reply);
    on_loop(attach_first);
    tell(1, "first");
    over = 0;
    on_loop(leave);
    tell(2, "");
    tell(2, "second");
    assert_string_equal(readers[0].got, DELTA("1-5", "first") RESET("2-0") DELTA("2-6", "second"));
    on_loop(detach_all);
    on_loop(leave);
}

/* One that is full gets all that came meanwhile at once; others are not concerned. */
static void test_full(void **state)
{
    (void)state;
    reply = 5;
    begin_readers(reply);
    on_loop(attach_first);
    on_loop(attach_second);
    readers[0].state = GC_VIEWER_FULL;
    tell(1, "a");
    tell(1, "ab");
    tell(1, "abc");
    assert_string_equal(readers[0].got, DELTA("1-1", "a"));
    assert_string_equal(readers[1].got, DELTA("1-1", "a") DELTA("1-2", "b") DELTA("1-3", "c"));
    on_loop(ready_first);
    assert_string_equal(readers[0].got, DELTA("1-1", "a") DELTA("1-3", "bc"));
    on_loop(detach_all);
    on_loop(leave);
}

static void test_too_slow(void **state)
{
    static char much[BUFFER + 100];

    (void)state;
    memset(much, 'x', sizeof(much) - 1);
    reply = 6;
    begin_readers(reply);
    on_loop(attach_first);
    readers[0].state = GC_VIEWER_FULL;
    tell(1, "a");
    tell(1, "ab");
    assert_int_equal(readers[0].ends, 0);
    tell(1, much);
    assert_int_equal(readers[0].ends, 1);
    assert_int_equal(readers[0].drops, 1);
    assert_null(readers[0].viewer.topic);
    on_loop(ready_first); /* it may be told so after its end */
    assert_int_equal(readers[0].ends, 1);
    on_loop(leave);
}

/* A process that took its own job over may have both tries for a while: the lost one says nothing.
 */
static void test_lost_try(void **state)
{
    (void)state;
    reply = 12;
    begin_readers(reply);
    on_loop(attach_first);
    tell(1, "a");
    tell(2, "x");
    tell(1, "ab");
    fence = 1;
    on_loop(leave);
    tell(2, "xy");
    assert_non_null(strstr(readers[0].got, DELTA("2-1", "x") DELTA("2-2", "y")));
    assert_null(strstr(readers[0].got, "ab"));
    on_loop(detach_all);
    on_loop(leave);
}

static void test_gone(void **state)
{
    (void)state;
    reply = 7;
    begin_readers(reply);
    on_loop(attach_first);
    on_loop(attach_second);
    readers[0].state = GC_VIEWER_GONE;
    tell(1, "a");
    tell(1, "ab");
    assert_int_equal(readers[0].ends, 1);
    assert_string_equal(readers[0].got, DELTA("1-1", "a"));
    assert_string_equal(readers[1].got, DELTA("1-1", "a") DELTA("1-2", "b"));
    on_loop(detach_all);
    on_loop(leave);
}

/* A long text that was there before its reader comes in pieces, which together are it. */
static void test_pieces(void **state)
{
    static char much[40000];
    const char *p;
    size_t got = 0, events = 0;

    (void)state;
    memset(much, 'y', sizeof(much) - 1);
    reply = 8;
    begin_readers(reply);
    tell(1, much);
    on_loop(attach_first);
    for (p = readers[0].got; *p; p++) {
        got += *p == 'y'; /* in no other word of a delta's frame */
        events += strncmp(p, "event: delta", 12) == 0;
    }
    assert_int_equal(got, sizeof(much) - 1);
    assert_int_equal(events, 3);
    on_loop(detach_all);
    on_loop(leave);
}

static void drain_now(void)
{
    gc_loop_hub_drain(hub, 0);
}

/* The last test: no stream goes on after this. */
static void test_drain(void **state)
{
    (void)state;
    reply = 9;
    begin_readers(reply);
    on_loop(attach_first);
    tell(1, "a");
    on_loop(drain_now);
    assert_string_equal(readers[0].got, DELTA("1-1", "a") "retry: 500\n\n");
    assert_int_equal(readers[0].ends, 1);
    assert_int_equal(readers[0].drops, 0);
    on_loop(attach_second);
    assert_string_equal(readers[1].got, "retry: 500\n\n");
    assert_int_equal(readers[1].ends, 1);
    on_loop(leave);
}

/* --- Around all tests -------------------------------------------------------- */

static apr_status_t open_cb(void *baton, apr_pool_t *scratch, gc_db_lease_t *lease)
{
    (void)baton, (void)scratch, (void)lease;
    return APR_EGENERAL;
}

static void close_cb(void *baton, gc_db_lease_t *lease)
{
    (void)baton, (void)lease;
}

static const char *describe_cb(apr_pool_t *scratch, const gc_reply_ref_t *ref,
                               const gc_message_t *message)
{
    (void)scratch, (void)ref, (void)message;
    return "{}";
}

static apr_pool_t *loop_pool;
static apr_status_t started;
static gc_db_t *db;

static void start_hub(void)
{
    gc_hub_options_t options = {.companion = companion,
                                .db = db,
                                .log = &log_sink,
                                .prefix = "",
                                .describe = describe_cb,
                                .max_reply = 1024 * 1024,
                                .buffer = BUFFER,
                                .heartbeat = apr_time_from_sec(15),
                                .patience = apr_time_from_sec(60),
                                .poll = apr_time_from_sec(1)};

    apr_pool_create_unmanaged_ex(&loop_pool, NULL, NULL);
    started = gc_loop_hub_start(loop_pool, &options, &hub);
}

static void end_loop(void)
{
    gc_loop_end(gc_companion_loop(companion));
}

static int setup(void **state)
{
    gc_db_options_t options = {.provider = {open_cb, close_cb, NULL},
                               .log = &log_sink,
                               .timeout = apr_time_from_sec(1),
                               .wait = apr_time_from_sec(1),
                               .connections = 2};

    (void)state;
    alarm(PATIENCE_S);
    apr_initialize();
    if (sodium_init() < 0 || apr_pool_create(&pool, NULL) != APR_SUCCESS
        || gc_db_create(pool, &options, &db) != APR_SUCCESS
        || gc_companion_start(pool, 2, &companion) != APR_SUCCESS) {
        return -1;
    }
    on_loop(start_hub);
    return started == APR_SUCCESS ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    on_loop(end_loop);
    gc_companion_join(companion);
    apr_pool_destroy(loop_pool);
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_grows),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_split_character),
        cmocka_unit_test(test_another_try),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_too_slow),
        cmocka_unit_test(test_lost_try),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_drain),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
