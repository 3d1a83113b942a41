/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of what is done about the outcome of a try: every row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "work/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S(n) apr_time_from_sec(n)

enum { TRIES = 5 }; /* GemcloneGeminiTries */

static const gc_policy_t alone = {.tries = TRIES, .backoff = S(1)};
static const gc_policy_t backed = {.tries = TRIES, .backoff = S(1), .has_fallback = 1};

/* --- Again, with which model? ---------------------------------------------- */

typedef enum { END, AGAIN, OTHER } next_e; /* the end, the same model, the fallback */

static const char *const next_names[] = {"end", "again", "other"};

static next_e next_of(const gc_decision_t *decision)
{
    return !decision->again ? END : decision->delay.fallback ? OTHER : AGAIN;
}

/* What follows a try, by the number it had. */
typedef struct {
    gc_gemini_retry_e retry;
    const gc_policy_t *policy;
    int fallback; /* the try was the fallback's */
    int upto;     /* tries up to this one are followed by another of the same model */
    next_e then;  /* what follows the others */
} row_t;

static void test_rows(void **state)
{
    static const row_t rows[] = {
        {GC_GEMINI_RETRY_NO, &alone, 0, 0, END},
        {GC_GEMINI_RETRY_NO, &backed, 0, 0, END},
        {GC_GEMINI_RETRY_NO, &backed, 1, 0, END},
        {GC_GEMINI_RETRY_YES, &alone, 0, TRIES - 1, END},
        {GC_GEMINI_RETRY_YES, &backed, 0, TRIES - 1, OTHER},
        {GC_GEMINI_RETRY_YES, &backed, 1, TRIES + 1, END},
        {GC_GEMINI_RETRY_AFTER, &alone, 0, TRIES - 1, END},
        {GC_GEMINI_RETRY_AFTER, &backed, 0, TRIES - 1, OTHER},
        {GC_GEMINI_RETRY_AFTER, &backed, 1, TRIES + 1, END},
        {GC_GEMINI_RETRY_FALLBACK, &alone, 0, 0, END},
        {GC_GEMINI_RETRY_FALLBACK, &backed, 0, 0, OTHER},
        {GC_GEMINI_RETRY_FALLBACK, &backed, 1, 0, END},
        {GC_GEMINI_RETRY_ONCE, &alone, 0, 1, END},
        {GC_GEMINI_RETRY_ONCE, &backed, 0, 1, END},
        {GC_GEMINI_RETRY_ONCE, &backed, 1, 1, END},
        /* The fallback is taken away by a new configuration while a job is with it. */
        {GC_GEMINI_RETRY_YES, &alone, 1, TRIES + 1, END},
        {GC_GEMINI_RETRY_FALLBACK, &alone, 1, 0, END},
    };
    size_t i;
    int tries;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        for (tries = 1; tries <= TRIES + 3; tries++) {
            const gc_gemini_outcome_t outcome = {.verdict = GC_GEMINI_FAILED,
                                                 .retry = rows[i].retry,
                                                 .error = GC_GEMINI_ERROR_UPSTREAM};
            const gc_job_t job = {.tries = tries, .fallback = rows[i].fallback};
            const gc_decision_t decision = gc_policy_decide(rows[i].policy, &job, &outcome);
            const next_e expected = tries <= rows[i].upto ? AGAIN : rows[i].then;

            if (next_of(&decision) != expected) {
                fail_msg("row %d, try %d: %s, but %s expected", (int)i, tries,
                         next_names[next_of(&decision)], next_names[expected]);
            }
            assert_int_equal(decision.refund, expected == END);
            assert_int_equal(decision.delay.uncount, 0);
        }
    }
}

/* A reply that fails for ever comes to its end, and in how many tries. */
static void test_all_tries(void **state)
{
    static const struct {
        const gc_policy_t *policy;
        gc_gemini_retry_e retry;
        int tries;
    } cases[] = {
        {&alone, GC_GEMINI_RETRY_YES, TRIES},   {&backed, GC_GEMINI_RETRY_YES, TRIES + 2},
        {&alone, GC_GEMINI_RETRY_AFTER, TRIES}, {&backed, GC_GEMINI_RETRY_AFTER, TRIES + 2},
        {&alone, GC_GEMINI_RETRY_FALLBACK, 1},  {&backed, GC_GEMINI_RETRY_FALLBACK, 2},
        {&alone, GC_GEMINI_RETRY_ONCE, 2},      {&backed, GC_GEMINI_RETRY_ONCE, 2},
        {&alone, GC_GEMINI_RETRY_NO, 1},        {&backed, GC_GEMINI_RETRY_NO, 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const gc_gemini_outcome_t outcome = {.verdict = GC_GEMINI_FAILED, .retry = cases[i].retry};
        gc_job_t job = {.tries = 0};
        gc_decision_t decision;

        do {
            job.tries++;
            decision = gc_policy_decide(cases[i].policy, &job, &outcome);
            job.fallback |= decision.delay.fallback;
        } while (decision.again && job.tries < 100);
        assert_int_equal(job.tries, cases[i].tries);
        assert_true(decision.refund);
    }
}

/* Another key may do where this one is refused or used up; nothing else is changed by there being one. */
static void test_another_key(void **state)
{
    static const gc_policy_t keyed = {
        .tries = TRIES, .backoff = S(1), .has_fallback = 1, .has_key = 1};
    static const struct {
        gc_gemini_retry_e retry;
        gc_gemini_error_e error;
        int key_refused;
        next_e with_key, without;
    } rows[] = {
        {GC_GEMINI_RETRY_NO, GC_GEMINI_ERROR_UPSTREAM, 1, AGAIN, END},
        {GC_GEMINI_RETRY_NO, GC_GEMINI_ERROR_UPSTREAM, 0, END, END},
        {GC_GEMINI_RETRY_FALLBACK, GC_GEMINI_ERROR_RATE_LIMITED, 0, AGAIN, OTHER},
        {GC_GEMINI_RETRY_FALLBACK, GC_GEMINI_ERROR_UPSTREAM, 0, OTHER, OTHER},
        {GC_GEMINI_RETRY_YES, GC_GEMINI_ERROR_UPSTREAM, 0, AGAIN, AGAIN},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        const gc_gemini_outcome_t outcome = {.verdict = GC_GEMINI_FAILED,
                                             .retry = rows[i].retry,
                                             .error = rows[i].error,
                                             .key_refused = rows[i].key_refused};
        gc_job_t job = {.tries = 1};
        gc_decision_t decision = gc_policy_decide(&keyed, &job, &outcome);

        assert_int_equal(next_of(&decision), rows[i].with_key);
        if (rows[i].with_key != rows[i].without) {
            assert_int_equal(decision.delay.delay, 0);
        }
        decision = gc_policy_decide(&backed, &job, &outcome);
        assert_int_equal(next_of(&decision), rows[i].without);
        job.tries = TRIES; /* keys that are refused one after the other come to an end, too */
        decision = gc_policy_decide(&keyed, &job, &outcome);
        assert_int_not_equal(next_of(&decision), AGAIN);
    }
}

/* --- A breaker is open ------------------------------------------------------ */

static void test_rest(void **state)
{
    static const gc_policy_t patient = {.tries = TRIES, .backoff = S(1), .patience = S(100)};
    static const gc_policy_t both = {
        .tries = TRIES, .backoff = S(1), .patience = S(100), .has_fallback = 1};
    static const struct {
        const gc_policy_t *policy;
        int wait, is_long, age, tries, fallback;
        next_e next;
        int uncount;
    } rows[] = {
        {&patient, 3, 0, 10, 1, 0, AGAIN, 1},        /* it waits, which is no try */
        {&patient, 60, 0, 10, TRIES, 0, AGAIN, 1},   /* however often */
        {&patient, 3, 0, 101, 1, 0, AGAIN, 0},       /* but not for ever */
        {&patient, 3, 0, 101, TRIES, 0, END, 0},
        {&patient, 900, 1, 10, 1, 0, END, 0},        /* there is nothing to wait for */
        {&both, 3, 0, 10, 1, 0, AGAIN, 1},
        {&both, 6, 0, 10, 1, 0, OTHER, 1},           /* the fallback is there at once */
        {&both, 900, 1, 10, 1, 0, OTHER, 1},
        {&both, 3, 0, 101, TRIES, 0, OTHER, 1},
        {&both, 6, 0, 10, 1, 1, AGAIN, 1},           /* it is the fallback that is out of reach */
        {&both, 3, 0, 101, TRIES + 2, 1, END, 0},
        {&both, 900, 1, 10, 1, 1, END, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        const gc_breaker_rest_t rest = {.wait = S(rows[i].wait), .is_long = rows[i].is_long};
        const gc_job_t job = {
            .tries = rows[i].tries, .age = S(rows[i].age), .fallback = rows[i].fallback};
        const gc_decision_t d = gc_policy_rest(rows[i].policy, &job, &rest);

        if (next_of(&d) != rows[i].next || d.delay.uncount != rows[i].uncount
            || d.refund != (rows[i].next == END)) {
            fail_msg("row %d: %s, uncount %d, refund %d", (int)i, next_names[next_of(&d)],
                     d.delay.uncount, d.refund);
        }
        if (rows[i].next == AGAIN) {
            assert_in_range(d.delay.delay, S(rows[i].wait), S(rows[i].wait + 1));
        }
    }
}

/* --- Refunds --------------------------------------------------------------- */

static void test_refunds(void **state)
{
    static const struct {
        gc_gemini_verdict_e verdict;
        gc_gemini_error_e error;
        int prompt_blocked, refund;
    } rows[] = {
        {GC_GEMINI_DONE, GC_GEMINI_ERROR_NONE, 0, 0},
        {GC_GEMINI_TRUNCATED, GC_GEMINI_ERROR_NONE, 0, 0},
        {GC_GEMINI_BLOCKED, GC_GEMINI_ERROR_BLOCKED, 0, 0},
        {GC_GEMINI_BLOCKED, GC_GEMINI_ERROR_BLOCKED, 1, 1},
        {GC_GEMINI_FAILED, GC_GEMINI_ERROR_RATE_LIMITED, 0, 1},
        {GC_GEMINI_FAILED, GC_GEMINI_ERROR_UPSTREAM, 0, 1},
        {GC_GEMINI_FAILED, GC_GEMINI_ERROR_TIMEOUT, 0, 1},
        {GC_GEMINI_FAILED, GC_GEMINI_ERROR_TOO_LONG, 0, 0},
    };
    static const gc_policy_t *const policies[] = {&alone, &backed};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        for (k = 0; k < COUNT(policies); k++) {
            gc_gemini_outcome_t outcome = {.verdict = rows[i].verdict,
                                           .error = rows[i].error,
                                           .prompt_blocked = rows[i].prompt_blocked,
                                           .retry = GC_GEMINI_RETRY_NO};
            const gc_job_t job = {.tries = 1};
            gc_decision_t decision = gc_policy_decide(policies[k], &job, &outcome);

            assert_false(decision.again);
            assert_int_equal(decision.refund, rows[i].refund);
            /* Nothing is given back for a reply that may yet come. */
            outcome.retry = GC_GEMINI_RETRY_YES;
            decision = gc_policy_decide(policies[k], &job, &outcome);
            assert_true(decision.again);
            assert_false(decision.refund);
        }
    }
}

/* --- How long to wait ------------------------------------------------------ */

typedef struct {
    apr_interval_time_t least, most;
} range_t;

/* What a thousand decisions come to. */
static range_t delays_of(apr_interval_time_t backoff, int tries, gc_gemini_retry_e retry,
                         apr_interval_time_t delay)
{
    const gc_policy_t policy = {.tries = 1000, .backoff = backoff};
    const gc_gemini_outcome_t outcome = {
        .verdict = GC_GEMINI_FAILED, .retry = retry, .delay = delay};
    const gc_job_t job = {.tries = tries};
    range_t range = {.least = INT64_MAX, .most = INT64_MIN};
    int i;

    for (i = 0; i < 1000; i++) {
        const gc_decision_t decision = gc_policy_decide(&policy, &job, &outcome);

        assert_true(decision.again);
        range.least = decision.delay.delay < range.least ? decision.delay.delay : range.least;
        range.most = decision.delay.delay > range.most ? decision.delay.delay : range.most;
    }
    return range;
}

/* Between half and all of it, and most of that is used: a thousand draws leave a tenth at either
 * end untouched once in 10^45 runs. */
static void check_spread(range_t range, apr_interval_time_t full)
{
    assert_true(range.least >= full / 2);
    assert_true(range.most <= full);
    assert_true(range.least <= full / 2 + full / 20);
    assert_true(range.most >= full - full / 20 - 1);
}

static void test_backoff(void **state)
{
    static const struct {
        apr_interval_time_t backoff;
        int tries;
        apr_interval_time_t full;
    } cases[] = {
        {S(1), 1, S(1)},    {S(1), 2, S(2)},       {S(1), 3, S(4)},           {S(1), 4, S(8)},
        {S(1), 5, S(16)},   {S(1), 6, S(32)},      {S(1), 7, S(60)},          {S(1), 8, S(60)},
        {S(1), 100, S(60)}, {S(1), 999, S(60)},    {S(45), 1, S(45)},         {S(45), 2, S(60)},
        {S(60), 1, S(60)},  {S(86400), 1, S(60)},  {S(7), 2, S(14)},          {1000, 1, 1000},
        {1000, 2, 2000},    {INT64_MAX, 1, S(60)}, {INT64_MAX / 2, 2, S(60)},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        check_spread(delays_of(cases[i].backoff, cases[i].tries, GC_GEMINI_RETRY_YES, 0),
                     cases[i].full);
    }
}

static void test_no_backoff(void **state)
{
    const range_t range = delays_of(0, 5, GC_GEMINI_RETRY_YES, 0);

    (void)state;
    assert_int_equal(range.least, 0);
    assert_int_equal(range.most, 0);
}

/* Not before the time that Gemini named, and never sooner than without it. */
static void test_after(void **state)
{
    range_t range = delays_of(S(1), 1, GC_GEMINI_RETRY_AFTER, S(34));

    (void)state;
    assert_true(range.least >= S(34));
    range = delays_of(S(1), 1, GC_GEMINI_RETRY_AFTER, S(300));
    assert_true(range.least >= S(300));
    check_spread(delays_of(S(1), 3, GC_GEMINI_RETRY_AFTER, 0), S(4));
    check_spread(delays_of(S(1), 3, GC_GEMINI_RETRY_AFTER, S(1)), S(4));
    /* A time that stands in an outcome of another kind is not meant. */
    check_spread(delays_of(S(1), 1, GC_GEMINI_RETRY_YES, S(34)), S(1));
}

/* The other model is not overloaded: it is asked at once. */
static void test_fallback_at_once(void **state)
{
    static const gc_gemini_retry_e kinds[] = {GC_GEMINI_RETRY_YES, GC_GEMINI_RETRY_AFTER,
                                              GC_GEMINI_RETRY_FALLBACK};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(kinds); i++) {
        const gc_gemini_outcome_t outcome = {
            .verdict = GC_GEMINI_FAILED, .retry = kinds[i], .delay = S(34)};
        const gc_job_t job = {.tries = TRIES};
        const gc_decision_t decision = gc_policy_decide(&backed, &job, &outcome);

        assert_int_equal(next_of(&decision), OTHER);
        assert_int_equal(decision.delay.delay, 0);
    }
}

static int group_setup(void **state)
{
    (void)state;
    return sodium_init() >= 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_all_tries),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_refunds),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_no_backoff),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_fallback_at_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
