/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of the circuit breaker: which key is asked, and when none is.
 */
#include "log_support.h"

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <sodium.h>

#include "work/breaker.h"
#define FRAME_OWN_SETUP
#include "frame.h"

#define MODEL "gemini-3.8-flash"
#define MS(n) apr_time_from_msec(n)
#define S(n) apr_time_from_sec(n)

enum { FAULTS = 3, REST_MS = 60 };

static gc_breaker_t *make(int keys, int faults)
{
    const gc_breaker_options_t options = {
        .log = &log_sink, .keys = keys, .faults = faults, .rest = MS(REST_MS)};

    return gc_breaker_create(pool, &options);
}

/* --- What comes of calls ---------------------------------------------------- */

static const gc_gemini_outcome_t good = {
    .verdict = GC_GEMINI_DONE, .http_status = 200, .finish_reason = "STOP"};
static const gc_gemini_outcome_t fault = {.verdict = GC_GEMINI_FAILED,
                                          .error = GC_GEMINI_ERROR_UPSTREAM,
                                          .retry = GC_GEMINI_RETRY_YES,
                                          .http_status = 503};
/* This prompt's own affair: STOP, but no text. */
static const gc_gemini_outcome_t empty = {.verdict = GC_GEMINI_FAILED,
                                          .error = GC_GEMINI_ERROR_UPSTREAM,
                                          .retry = GC_GEMINI_RETRY_YES,
                                          .http_status = 200,
                                          .finish_reason = "STOP"};
static const gc_gemini_outcome_t busy = {.verdict = GC_GEMINI_FAILED,
                                         .error = GC_GEMINI_ERROR_RATE_LIMITED,
                                         .retry = GC_GEMINI_RETRY_AFTER,
                                         .delay = MS(80),
                                         .http_status = 429};
static const gc_gemini_outcome_t spent = {.verdict = GC_GEMINI_FAILED,
                                          .error = GC_GEMINI_ERROR_RATE_LIMITED,
                                          .retry = GC_GEMINI_RETRY_FALLBACK,
                                          .http_status = 429};
static const gc_gemini_outcome_t refused = {.verdict = GC_GEMINI_FAILED,
                                            .error = GC_GEMINI_ERROR_UPSTREAM,
                                            .retry = GC_GEMINI_RETRY_NO,
                                            .key_refused = 1,
                                            .http_status = 403};
static const gc_gemini_outcome_t retired = {.verdict = GC_GEMINI_FAILED,
                                            .error = GC_GEMINI_ERROR_UPSTREAM,
                                            .retry = GC_GEMINI_RETRY_FALLBACK,
                                            .http_status = 404};

static gc_breaker_rest_t why;

/* One call, and what came of it; returns the key that it was made with, or -1. */
static int call(gc_breaker_t *b, const gc_gemini_outcome_t *outcome)
{
    gc_breaker_turn_t turn = gc_breaker_take(b, MODEL, &why);

    if (turn.key >= 0) {
        gc_breaker_report(b, MODEL, turn, outcome);
    }
    return turn.key;
}

static void break_it(gc_breaker_t *b)
{
    int i;

    for (i = 0; i < FAULTS; i++) {
        assert_int_equal(call(b, &fault), 0);
    }
    assert_int_equal(call(b, &good), -1);
    check_logged("GEM0410 ");
}

/* --- Tests -------------------------------------------------------------------- */

static void test_turns(void **state)
{
    gc_breaker_t *b = make(3, FAULTS);
    int count[3] = {0}, i;

    (void)state;
    for (i = 0; i < 30; i++) {
        count[call(b, &good)]++;
    }
    assert_int_equal(count[0], 10);
    assert_int_equal(count[1], 10);
    assert_int_equal(count[2], 10);
    check_logged("");
}

static void test_opens(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);

    (void)state;
    break_it(b);
    assert_false(why.is_long);
    assert_int_equal(why.error, GC_GEMINI_ERROR_UPSTREAM);
    assert_in_range(why.wait, MS(REST_MS / 2 - 10), MS(REST_MS));
    assert_false(gc_breaker_has_key(b, MODEL));
}

/* Only faults in a row count, and only those that are not the prompt's own. */
static void test_stays_closed(void **state)
{
    static const gc_gemini_outcome_t *const others[] = {&good, &empty, &retired};
    gc_breaker_t *b = make(1, FAULTS);
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (k = 0; k < 4 * FAULTS; k++) {
            assert_int_equal(call(b, k % FAULTS ? &fault : others[i]), 0);
            assert_int_equal(call(b, others[i]), 0);
        }
    }
    for (k = 0; k < 100; k++) {
        assert_int_equal(call(b, NULL), 0); /* cancelled */
    }
    check_logged("");
}

/* One call tries it out; it is open for longer when that fails, and closed when not. */
static void test_half_open(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);
    gc_breaker_turn_t probe;

    (void)state;
    break_it(b);
    apr_sleep(MS(REST_MS));
    probe = gc_breaker_take(b, MODEL, &why);
    assert_int_equal(probe.key, 0);
    assert_true(probe.is_probe);
    assert_int_equal(gc_breaker_take(b, MODEL, &why).key, -1); /* one at a time */
    gc_breaker_report(b, MODEL, probe, &fault);
    assert_int_equal(gc_breaker_take(b, MODEL, &why).key, -1);
    assert_in_range(why.wait, MS(REST_MS - 10), MS(2 * REST_MS));
    check_logged(""); /* it is no news */
    apr_sleep(MS(2 * REST_MS));
    assert_int_equal(call(b, &good), 0);
    assert_int_equal(call(b, &fault), 0);
    assert_int_equal(call(b, &good), 0);
    check_logged("GEM0411 ");
}

/* A probe of which nothing is heard, since its user cancelled, leaves the turn to the next. */
static void test_probe_is_cancelled(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);

    (void)state;
    break_it(b);
    apr_sleep(MS(REST_MS));
    assert_int_equal(call(b, NULL), 0);
    assert_int_equal(call(b, &good), 0);
    check_logged("GEM0411 ");
}

/* Calls that were out when it opened do not make it longer; an answer among them closes it. */
static void test_late_reports(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);
    gc_breaker_turn_t turn;
    int i;

    (void)state;
    for (i = 0; i < 50; i++) {
        turn = gc_breaker_take(b, MODEL, &why);
        assert_int_equal(turn.key, 0);
    }
    for (i = 0; i < 49; i++) {
        gc_breaker_report(b, MODEL, turn, &fault);
    }
    assert_int_equal(gc_breaker_take(b, MODEL, &why).key, -1);
    assert_in_range(why.wait, 1, MS(REST_MS));
    gc_breaker_report(b, MODEL, turn, &good);
    assert_int_equal(call(b, &good), 0);
}

/* Nor do they count as the probe that is out meanwhile. */
static void test_late_reports_beside_a_probe(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);
    gc_breaker_turn_t late = gc_breaker_take(b, MODEL, &why), probe;
    int i;

    (void)state;
    break_it(b);
    apr_sleep(MS(REST_MS));
    probe = gc_breaker_take(b, MODEL, &why);
    assert_true(probe.is_probe && !late.is_probe);
    for (i = 0; i < 5; i++) {
        gc_breaker_report(b, MODEL, late, i % 2 ? NULL : &fault);
        assert_int_equal(gc_breaker_take(b, MODEL, &why).key, -1);
    }
    gc_breaker_report(b, MODEL, probe, &good);
    assert_int_equal(call(b, &good), 0);
    check_logged("GEM0411 ");
}

/* Replies that end well, begun before a limit was reached, tell nothing of the limit. */
static void test_late_answers_at_a_limit(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);
    gc_breaker_turn_t late = gc_breaker_take(b, MODEL, &why);

    (void)state;
    assert_int_equal(call(b, &busy), 0);
    gc_breaker_report(b, MODEL, late, &good);
    assert_int_equal(call(b, &good), -1);
    apr_sleep(MS(90));
    assert_int_equal(call(b, &good), 0);
    check_logged("GEM0410 GEM0411 ");
}

static void test_rate_limit(void **state)
{
    gc_breaker_t *b = make(2, FAULTS);
    int limited = call(b, &busy), other = call(b, &good), i;

    (void)state;
    assert_int_equal(other, 1 - limited);
    for (i = 0; i < 10; i++) {
        assert_int_equal(call(b, &good), other); /* the limited one is left alone */
    }
    assert_int_equal(call(b, &busy), other);
    assert_int_equal(call(b, &good), -1);
    assert_false(why.is_long);
    assert_int_equal(why.error, GC_GEMINI_ERROR_RATE_LIMITED);
    assert_in_range(why.wait, 1, MS(80));
    apr_sleep(MS(90));
    assert_true(call(b, &good) >= 0);
}

static void test_spent_and_refused(void **state)
{
    gc_breaker_t *b = make(2, FAULTS);
    int first = call(b, &spent);

    (void)state;
    assert_true(gc_breaker_has_key(b, MODEL));
    assert_int_equal(call(b, &refused), 1 - first);
    assert_false(gc_breaker_has_key(b, MODEL));
    assert_int_equal(call(b, &good), -1);
    assert_true(why.is_long);
    assert_true(why.wait > S(50));
    check_logged("GEM0410 GEM0410 ");
}

/* Each model has circuits of its own; of more models than it knows, it forgets the oldest. */
static void test_models(void **state)
{
    gc_breaker_t *b = make(1, FAULTS);
    gc_breaker_turn_t turn;
    int i;

    (void)state;
    break_it(b);
    assert_int_equal(gc_breaker_take(b, "gemini-3.5-flash-lite", &why).key, 0);
    for (i = 0; i < 10; i++) {
        assert_int_equal(gc_breaker_take(b, MODEL, &why).key, -1);
    }
    for (i = 0; i < 100; i++) {
        turn = gc_breaker_take(b, apr_psprintf(pool, "model-%d", i), &why);
        assert_int_equal(turn.key, 0);
    }
    gc_breaker_report(b, "model-0", turn, &fault); /* forgotten */
    assert_int_equal(gc_breaker_take(b, MODEL, &why).key, 0);
}

static void test_off(void **state)
{
    gc_breaker_t *b = make(2, 0);
    int i;

    (void)state;
    for (i = 0; i < 50; i++) {
        assert_true(call(b, i % 3 ? &fault : &spent) >= 0);
    }
    check_logged("");
}

static int setup(void **state)
{
    (void)state;
    forget_logged();
    return apr_pool_create(&pool, NULL) == APR_SUCCESS ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_turns),
        FRAMED_TEST(test_opens),
        FRAMED_TEST(test_stays_closed),
        FRAMED_TEST(test_half_open),
        FRAMED_TEST(test_probe_is_cancelled),
        FRAMED_TEST(test_late_reports),
        FRAMED_TEST(test_late_reports_beside_a_probe),
        FRAMED_TEST(test_late_answers_at_a_limit),
        FRAMED_TEST(test_rate_limit),
        FRAMED_TEST(test_spent_and_refused),
        FRAMED_TEST(test_models),
        FRAMED_TEST(test_off),
    };

    return RUN_FRAMED(tests);
}
