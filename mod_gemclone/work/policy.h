/* SPDX-License-Identifier: Apache-2.0
 * What is done about the outcome of a try: store it, or try again, when, and with
 * which model.
 */
#ifndef GC_POLICY_H
#define GC_POLICY_H

#include "breaker.h"
#include "store/job.h"

typedef struct gc_policy_t {
    int tries;                    /* a reply has, with its model; the fallback gets two more */
    apr_interval_time_t backoff;  /* before the second try; doubled for each further one */
    int has_fallback;             /* there is another model than the one just tried */
    int has_key;                  /* there is another key that the same model may be asked with */
    apr_interval_time_t patience; /* for how long a reply may wait for a circuit breaker */
} gc_policy_t;

typedef struct gc_decision_t {
    int again;
    gc_job_delay_t delay; /* again */
    int refund;           /* not again */
} gc_decision_t;

/* job->tries counts the try that this outcome is of. */
gc_decision_t gc_policy_decide(const gc_policy_t *policy, const gc_job_t *job,
                               const gc_gemini_outcome_t *outcome);

/* Nothing was asked, for a circuit breaker is open: the fallback is asked, or the reply waits.
 * That is no try, but where it has waited too long. */
gc_decision_t gc_policy_rest(const gc_policy_t *policy, const gc_job_t *job,
                             const gc_breaker_rest_t *rest);

#endif
