/* SPDX-License-Identifier: Apache-2.0
 * What is done about the outcome of a try.
 */
#include "policy.h"

#include <sodium.h>

#include "core/pause.h"

enum { FALLBACK_TRIES = 2 };

#define LONGEST apr_time_from_sec(60)

/* A pause that is shorter is waited for, where the fallback could be asked at once. */
#define WORTH_WAITING apr_time_from_sec(5)

/* Doubled for each try, to at most a minute, and spread over its upper half: a
 * thousand replies that failed together do not come back together. */
static apr_interval_time_t backoff_of(const gc_policy_t *policy, int tries)
{
    apr_interval_time_t delay = gc_pause_after(tries, policy->backoff, LONGEST);

    return delay / 2 + (apr_interval_time_t)randombytes_uniform((apr_uint32_t)(delay / 2 + 1));
}

/* What failed through no fault of the user's is given back; a reply that was
 * blocked or that grew too long was paid for. */
static int is_refunded(const gc_gemini_outcome_t *outcome)
{
    return outcome->verdict == GC_GEMINI_BLOCKED
               ? outcome->prompt_blocked
               : outcome->verdict == GC_GEMINI_FAILED && outcome->error != GC_GEMINI_ERROR_TOO_LONG;
}

gc_decision_t gc_policy_decide(const gc_policy_t *policy, const gc_job_t *job,
                               const gc_gemini_outcome_t *outcome)
{
    gc_decision_t d = {0};
    int may_fall_back = policy->has_fallback && !job->fallback;
    int tries = policy->tries + (job->fallback ? FALLBACK_TRIES : 0);

    d.delay.delay = backoff_of(policy, job->tries);
    switch (outcome->retry) {
    case GC_GEMINI_RETRY_AFTER:
        if (outcome->delay > d.delay.delay) {
            d.delay.delay = outcome->delay;
        }
        /* fall through */
    case GC_GEMINI_RETRY_YES:
        d.again = job->tries < tries;
        break;
    case GC_GEMINI_RETRY_ONCE:
        d.again = job->tries < 2;
        may_fall_back = 0;
        break;
    case GC_GEMINI_RETRY_FALLBACK:
        d.again =
            outcome->error == GC_GEMINI_ERROR_RATE_LIMITED && policy->has_key && job->tries < tries;
        d.delay.delay = 0; /* with another key */
        break;
    case GC_GEMINI_RETRY_NO:
        d.again = outcome->key_refused && policy->has_key && job->tries < tries;
        d.delay.delay = 0;
        may_fall_back = 0;
        break;
    }
    if (!d.again && may_fall_back) {
        d.again = 1;
        d.delay.fallback = 1;
        d.delay.delay = 0;
    }
    d.refund = !d.again && is_refunded(outcome);
    return d;
}

gc_decision_t gc_policy_rest(const gc_policy_t *policy, const gc_job_t *job,
                             const gc_breaker_rest_t *rest)
{
    int tries = policy->tries + (job->fallback ? FALLBACK_TRIES : 0);
    gc_decision_t d = {.again = 1};

    if (policy->has_fallback && !job->fallback
        && (rest->is_long || rest->wait > WORTH_WAITING || job->tries >= tries)) {
        d.delay.fallback = 1;
        d.delay.uncount = 1;
    } else if (!rest->is_long && (job->age < policy->patience || job->tries < tries)) {
        d.delay.uncount = job->age < policy->patience;
        d.delay.delay = rest->wait + backoff_of(policy, 1);
    } else {
        d = (gc_decision_t){.refund = 1};
    }
    return d;
}
