/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of what a host counts: by processes and threads that count at once, that come and go;
 * and the text that tells of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <cmocka.h>

#include "core/metrics.h"

static gc_metrics_shared_t *shared; /* of one test */

#define FRAME_OWN_SETUP
#include "frame.h"

static int setup(void **state)
{
    (void)state;
    shared =
        mmap(NULL, gc_metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared != MAP_FAILED && apr_pool_create(&pool, NULL) == APR_SUCCESS ? 0 : -1;
}

static int unmap(void **state)
{
    munmap(shared, gc_metrics_size());
    return teardown(state);
}

#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, unmap)

/* As a process of that number would have it. */
static gc_metrics_t *child(apr_uint32_t pid, const char *site)
{
    gc_metrics_t *m = gc_metrics_create(pool, shared, gc_metrics_enter(shared, pid), site);

    assert_non_null(m);
    return m;
}

static const char *const routes[] = {"route=\"/\",method=\"GET\"",
                                     "route=\"/message/{room}\",method=\"POST\""};

/* What is told of one site. */
static const char *text_of(const char *site, const gc_metrics_t *m)
{
    gc_metrics_site_t it = {.name = site, .metrics = m};
    gc_metrics_view_t view = {
        .sites = &it, .site_count = 1, .routes = routes, .route_count = 2, .version = "1.2.3"};
    gc_membuf_t *out = apr_palloc(pool, sizeof(*out));
    int i;

    for (i = 0; i < GC_SAMPLES; i++) {
        it.samples[i] = i == GC_SAMPLE_OWED ? 7 : GC_METRICS_UNKNOWN;
    }
    gc_membuf_init(out, pool, (apr_size_t)1024 * 1024);
    assert_int_equal(gc_metrics_render(pool, out, shared, &view), APR_SUCCESS);
    return apr_pstrmemdup(pool, out->bytes, out->length);
}

/* That a line is there, whole. */
static void assert_line(const char *text, const char *line)
{
    if (!strstr(text, apr_pstrcat(pool, "\n", line, "\n", NULL))) {
        fail_msg("there is no line %s", line);
    }
}

static void test_nothing_to_count_in(void **state)
{
    (void)state;
    gc_metrics_count(NULL, GC_COUNT_SIGNUPS);
    gc_metrics_change(NULL, GC_GAUGE_STREAMS, 1);
    gc_metrics_time(NULL, GC_TIME_STREAM, 1);
    gc_metrics_request(NULL, 0, 200, 1);
    assert_int_equal(gc_metrics_counted(NULL, GC_COUNT_SIGNUPS), 0);
    assert_int_equal(gc_metrics_held(NULL, GC_GAUGE_STREAMS), 0);
    assert_int_equal(gc_metrics_requests(NULL, 0, 999), 0);
}

static void test_sums(void **state)
{
    gc_metrics_t *one = child(11, "a"), *two = child(12, "a"), *other = child(12, "b");

    (void)state;
    gc_metrics_count(one, GC_COUNT_SIGNUPS);
    gc_metrics_add(two, GC_COUNT_SIGNUPS, 4);
    gc_metrics_count(other, GC_COUNT_SIGNUPS);
    gc_metrics_change(one, GC_GAUGE_STREAMS, 3);
    gc_metrics_change(two, GC_GAUGE_STREAMS, 2);
    gc_metrics_change(two, GC_GAUGE_STREAMS, -1);
    assert_int_equal(gc_metrics_counted(one, GC_COUNT_SIGNUPS), 5);
    assert_int_equal(gc_metrics_counted(other, GC_COUNT_SIGNUPS), 1);
    assert_int_equal(gc_metrics_held(two, GC_GAUGE_STREAMS), 4);
    assert_int_equal(gc_metrics_held(other, GC_GAUGE_STREAMS), 0);
    gc_metrics_request(one, 0, 200, 1);
    gc_metrics_request(two, 1, 404, 1);
    gc_metrics_request(two, 1, 503, -1);
    gc_metrics_request(two, 1, 599, 1);
    assert_int_equal(gc_metrics_requests(one, 0, 999), 4);
    assert_int_equal(gc_metrics_requests(one, 400, 499), 1);
    assert_int_equal(gc_metrics_requests(one, 500, 599), 1);
}

/* What it counted stays, what it held goes: also for who has its place or its number next. */
static void test_a_process_that_is_no_more(void **state)
{
    gc_metrics_t *one = child(11, "a"), *two = child(12, "a"), *next;

    (void)state;
    gc_metrics_count(one, GC_COUNT_SIGNUPS);
    gc_metrics_change(one, GC_GAUGE_STREAMS, 5);
    gc_metrics_change(two, GC_GAUGE_STREAMS, 1);
    gc_metrics_leave(shared, 11);
    assert_int_equal(gc_metrics_counted(two, GC_COUNT_SIGNUPS), 1);
    assert_int_equal(gc_metrics_held(two, GC_GAUGE_STREAMS), 1);
    next = child(13, "a");
    assert_int_equal(gc_metrics_held(two, GC_GAUGE_STREAMS), 1);
    gc_metrics_change(next, GC_GAUGE_STREAMS, 2);
    assert_int_equal(gc_metrics_held(two, GC_GAUGE_STREAMS), 3);
    (void)child(13, "a"); /* another process of that number: nobody heard of the first one's end */
    assert_int_equal(gc_metrics_held(two, GC_GAUGE_STREAMS), 1);
}

static void test_more_processes_and_sites_than_fit(void **state)
{
    gc_metrics_t *m, *last = NULL;
    int i;

    (void)state;
    for (i = 1; gc_metrics_enter(shared, (apr_uint32_t)i) >= 0; i++) {
        assert_true(i < 100000);
    }
    m = gc_metrics_create(pool, shared, -1, "a");
    gc_metrics_count(m, GC_COUNT_SIGNUPS);
    gc_metrics_change(m, GC_GAUGE_STREAMS, 1);
    assert_int_equal(gc_metrics_counted(m, GC_COUNT_SIGNUPS), 1);
    assert_int_equal(gc_metrics_held(m, GC_GAUGE_STREAMS), 0);
    gc_metrics_leave(shared, 5);
    assert_int_equal(gc_metrics_enter(shared, 1000000), 4);
    for (i = 0; i < 1000 && (m = gc_metrics_create(pool, shared, 0, apr_itoa(pool, i))); i++) {
        last = m;
    }
    assert_true(i > 10 && i < 1000);
    assert_non_null(last);
    assert_non_null(gc_metrics_create(pool, shared, 0, "a"));
}

enum { AT_ONCE = 4, TIMES = 20000 };

static void *APR_THREAD_FUNC count_thread(apr_thread_t *thread, void *baton)
{
    gc_metrics_t *m = baton;
    int i;

    for (i = 0; i < TIMES; i++) {
        gc_metrics_count(m, GC_COUNT_PROMPTS);
        gc_metrics_request(m, i % 2, 200, i);
        gc_metrics_change(m, GC_GAUGE_IN_FLIGHT, 1);
        gc_metrics_change(m, GC_GAUGE_IN_FLIGHT, -1);
    }
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static void count_with_threads(gc_metrics_t *m)
{
    apr_thread_t *threads[AT_ONCE];
    apr_status_t rv;
    int i;

    for (i = 0; i < AT_ONCE; i++) {
        assert_int_equal(apr_thread_create(&threads[i], NULL, count_thread, m, pool), APR_SUCCESS);
    }
    for (i = 0; i < AT_ONCE; i++) {
        apr_thread_join(&rv, threads[i]);
    }
}

/* Nothing is lost of what processes count at once that share a stripe. */
static void test_all_at_once(void **state)
{
    gc_metrics_t *m = child(1, "a");
    int i, status;

    (void)state;
    for (i = 0; i < AT_ONCE; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            count_with_threads(gc_metrics_create(pool, shared, i % 2, "a"));
            _exit(0);
        }
    }
    for (i = 0; i < AT_ONCE; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(gc_metrics_counted(m, GC_COUNT_PROMPTS), AT_ONCE * AT_ONCE * TIMES);
    assert_int_equal(gc_metrics_requests(m, 200, 200), AT_ONCE * AT_ONCE * TIMES);
    assert_int_equal(gc_metrics_held(m, GC_GAUGE_IN_FLIGHT), 0);
}

static void test_text(void **state)
{
    gc_metrics_t *m = child(1, "a");
    const char *text;

    (void)state;
    gc_metrics_begin(shared, APR_INT64_C(1500000000250000));
    gc_metrics_count(m, GC_COUNT_REPLY_DONE);
    gc_metrics_change(m, GC_GAUGE_STREAMS, 3);
    gc_metrics_request(m, 1, 201, 4000);
    gc_metrics_request(m, 1, 201, 1200000);
    gc_metrics_request(m, 1, 299, -1);
    text = text_of("a", m);
    assert_line(text, "gemclone_build_info{version=\"1.2.3\"} 1");
    assert_line(text, "gemclone_start_time_seconds 1500000000.250000");
    assert_line(text, "gemclone_children 1");
    assert_line(text, "# TYPE gemclone_replies_total counter");
    assert_line(text, "gemclone_replies_total{site=\"a\",state=\"done\",error=\"\"} 1");
    assert_line(text, "gemclone_replies_total{site=\"a\",state=\"failed\",error=\"poison\"} 0");
    assert_line(text, "gemclone_streams_open{site=\"a\"} 3");
    assert_line(text, "gemclone_queue_owed{site=\"a\"} 7");
    assert_null(strstr(text, "gemclone_queue_due{"));
    assert_line(text,
                "gemclone_requests_total{site=\"a\",route=\"/message/{room}\",method=\"POST\","
                "status=\"201\"} 2");
    assert_line(text,
                "gemclone_requests_total{site=\"a\",route=\"/message/{room}\",method=\"POST\","
                "status=\"other\"} 1");
    assert_null(strstr(text, "route=\"/\""));
}

#define TIME_NAME "gemclone_request_duration_seconds"
#define TIME_LABELS "{site=\"a\",route=\"/\",method=\"GET\""

/* Bounds belong to what is below them; each bucket has those before it; the count is theirs. */
static void test_times(void **state)
{
    gc_metrics_t *m = child(1, "a");
    const char *text;

    (void)state;
    gc_metrics_request(m, 0, 200, 1000);
    gc_metrics_request(m, 0, 200, 1001);
    gc_metrics_request(m, 0, 200, APR_INT64_C(3600000000));
    gc_metrics_request(m, 0, 200, 0);
    text = text_of("a", m);
    assert_line(text, "# TYPE " TIME_NAME " histogram");
    assert_line(text, TIME_NAME "_bucket" TIME_LABELS ",le=\"0.001\"} 2");
    assert_line(text, TIME_NAME "_bucket" TIME_LABELS ",le=\"0.0025\"} 3");
    assert_line(text, TIME_NAME "_bucket" TIME_LABELS ",le=\"10\"} 3");
    assert_line(text, TIME_NAME "_bucket" TIME_LABELS ",le=\"+Inf\"} 4");
    assert_line(text, TIME_NAME "_sum" TIME_LABELS "} 3600.002001");
    assert_line(text, TIME_NAME "_count" TIME_LABELS "} 4");
    gc_metrics_time(m, GC_TIME_STREAM, -5); /* a clock that was set back */
    text = text_of("a", m);
    assert_line(text, "gemclone_stream_duration_seconds_bucket{site=\"a\",le=\"0.1\"} 1");
    assert_line(text, "gemclone_stream_duration_seconds_sum{site=\"a\"} 0.000000");
}

static void test_escapes(void **state)
{
    const char *name = "a\\\"\n{},é";

    (void)state;
    assert_string_equal(gc_metrics_escape(pool, name), "a\\\\\\\"\\n{},é");
    assert_string_equal(gc_metrics_escape(pool, ""), "");
    assert_line(text_of(name, child(1, name)),
                "gemclone_streams_open{site=\"a\\\\\\\"\\n{},é\"} 0");
}

/* A name has its head once, and its series are together. */
static void test_order(void **state)
{
    char *text = apr_pstrdup(pool, text_of("a", child(1, "a"))), *line, *last;
    apr_table_t *seen = apr_table_make(pool, 64);
    const char *now = "";

    (void)state;
    for (line = apr_strtok(text, "\n", &last); line; line = apr_strtok(NULL, "\n", &last)) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            now = apr_pstrmemdup(pool, line + 7, strcspn(line + 7, " "));
            assert_null(apr_table_get(seen, now));
            apr_table_setn(seen, now, "");
        } else if (*line != '#') {
            assert_memory_equal(line, now, strlen(now));
        }
    }
}

static void test_no_room(void **state)
{
    gc_metrics_view_t view = {.version = "1"};
    gc_membuf_t *out = apr_palloc(pool, sizeof(*out));

    (void)state;
    gc_membuf_init(out, pool, 100);
    assert_int_equal(gc_metrics_render(pool, out, shared, &view), APR_ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(test_nothing_to_count_in),
        METRICS_TEST(test_sums),
        METRICS_TEST(test_a_process_that_is_no_more),
        METRICS_TEST(test_more_processes_and_sites_than_fit),
        METRICS_TEST(test_all_at_once),
        METRICS_TEST(test_text),
        METRICS_TEST(test_times),
        METRICS_TEST(test_escapes),
        METRICS_TEST(test_order),
        METRICS_TEST(test_no_room),
    };

    return RUN_FRAMED(tests);
}
