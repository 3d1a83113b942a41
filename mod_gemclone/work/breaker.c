/* SPDX-License-Identifier: Apache-2.0
 * A circuit breaker for each key and model.
 */
#include "breaker.h"

#include <apr_strings.h>
#include <sodium.h>
#include <string.h>

/* Chatrooms may name models that nobody has heard of: of more than these, those that were used
 * longest ago are forgotten. */
enum { MODELS = 32 };

#define MOST_REST apr_time_from_sec(300)

/* A quota of a day or none at all: asked again so rarely costs nothing and finds out in time. */
#define SPENT_REST apr_time_from_sec(900)
#define REFUSED_REST apr_time_from_sec(60)

/* How long to wait while another call tries a circuit out. */
#define PROBE_WAIT apr_time_from_sec(1)

typedef enum { CLOSED, FAULTY, BUSY, SPENT, REFUSED } state_e;

static const char *const reasons[] = {
    [CLOSED] = "",
    [FAULTY] = "it fails",
    [BUSY] = "its rate limit is reached",
    [SPENT] = "its quota is used up",
    [REFUSED] = "the key is refused",
};

static const gc_count_e openings[] = {
    [FAULTY] = GC_COUNT_CIRCUIT_FAULTS,
    [BUSY] = GC_COUNT_CIRCUIT_RATE_LIMIT,
    [SPENT] = GC_COUNT_CIRCUIT_QUOTA,
    [REFUSED] = GC_COUNT_CIRCUIT_KEY_REFUSED,
};

typedef struct {
    state_e state;
    int faults;               /* in a row, while closed */
    apr_time_t until;         /* open; half-open after it */
    apr_interval_time_t rest; /* how long it was, or is, open for faults; 0: not yet */
    int probing;              /* a call is out to try it */
} circuit_t;

typedef struct {
    char name[GC_GEMINI_WORD + 1];
    apr_uint64_t used; /* when, in calls */
    circuit_t *circuits;
} model_t;

struct gc_breaker_t {
    gc_breaker_options_t options;
    apr_uint64_t calls;
    model_t models[MODELS];
};

gc_breaker_t *gc_breaker_create(apr_pool_t *pool, const gc_breaker_options_t *options)
{
    gc_breaker_t *b = apr_pcalloc(pool, sizeof(*b));
    int i;

    b->options = *options;
    for (i = 0; i < MODELS; i++) {
        b->models[i].circuits = apr_pcalloc(pool, sizeof(circuit_t) * (apr_size_t)options->keys);
    }
    return b;
}

static model_t *find_model(gc_breaker_t *b, const char *name)
{
    int i;

    for (i = 0; i < MODELS; i++) {
        if (strcmp(b->models[i].name, name) == 0) {
            return &b->models[i];
        }
    }
    return NULL;
}

/* Another model takes its place. */
static void forget_model(gc_breaker_t *b, model_t *m)
{
    int i;

    for (i = 0; i < b->options.keys; i++) {
        if (m->circuits[i].state != CLOSED) {
            gc_metrics_change(b->options.metrics, GC_GAUGE_CIRCUITS_OPEN, -1);
        }
    }
    memset(m->circuits, 0, sizeof(circuit_t) * (apr_size_t)b->options.keys);
}

static model_t *take_model(gc_breaker_t *b, const char *name)
{
    model_t *found = find_model(b, name);
    int i;

    if (!found) {
        found = &b->models[0];
        for (i = 1; i < MODELS; i++) {
            if (b->models[i].used < found->used) {
                found = &b->models[i];
            }
        }
        apr_cpystrn(found->name, name, sizeof(found->name));
        forget_model(b, found);
    }
    found->used = ++b->calls;
    return found;
}

static int may_be_used(const circuit_t *circuit, apr_time_t now)
{
    return circuit->state == CLOSED || (circuit->until <= now && !circuit->probing);
}

static void add_rest(const circuit_t *circuit, apr_time_t now, gc_breaker_rest_t *rest)
{
    apr_interval_time_t wait = circuit->until > now ? circuit->until - now : PROBE_WAIT;
    int is_long = circuit->state == SPENT || circuit->state == REFUSED;

    rest->is_long = rest->is_long && is_long;
    if (rest->wait == 0 || wait < rest->wait) {
        rest->wait = wait;
        rest->error = circuit->state == BUSY || circuit->state == SPENT
                          ? GC_GEMINI_ERROR_RATE_LIMITED
                          : GC_GEMINI_ERROR_UPSTREAM;
    }
}

gc_breaker_turn_t gc_breaker_take(gc_breaker_t *breaker, const char *model, gc_breaker_rest_t *rest)
{
    model_t *m = take_model(breaker, model);
    apr_time_t now = apr_time_now();
    int i;

    *rest = (gc_breaker_rest_t){.is_long = 1};
    for (i = 0; i < breaker->options.keys; i++) {
        int key = (int)((breaker->calls + (apr_uint64_t)i) % (apr_uint64_t)breaker->options.keys);
        circuit_t *circuit = &m->circuits[key];

        if (may_be_used(circuit, now)) {
            circuit->probing = circuit->state != CLOSED;
            return (gc_breaker_turn_t){key, circuit->probing};
        }
        add_rest(circuit, now, rest);
    }
    return (gc_breaker_turn_t){.key = -1};
}

int gc_breaker_has_key(const gc_breaker_t *breaker, const char *model)
{
    const model_t *m = find_model((gc_breaker_t *)breaker, model);
    apr_time_t now = apr_time_now();
    int i;

    for (i = 0; m && i < breaker->options.keys; i++) {
        if (may_be_used(&m->circuits[i], now)) {
            return 1;
        }
    }
    return 0;
}

/* Half of the rest is fixed, half is chance: processes that saw the same do not come back together.
 */
static apr_interval_time_t spread(apr_interval_time_t rest)
{
    apr_interval_time_t half = rest / 2;

    return half + (apr_interval_time_t)randombytes_uniform((apr_uint32_t)half + 1);
}

static void open_circuit(gc_breaker_t *b, const model_t *m, int key, state_e state,
                         apr_interval_time_t rest)
{
    circuit_t *circuit = &m->circuits[key];
    apr_time_t until = apr_time_now() + rest;

    if (circuit->state == CLOSED) {
        gc_metrics_count(b->options.metrics, openings[state]);
        gc_metrics_change(b->options.metrics, GC_GAUGE_CIRCUITS_OPEN, 1);
        gc_log(b->options.log, GEM0410, "model %s, key %d: not asked for %d ms, since %s", m->name,
               key + 1, (int)(rest / 1000), reasons[state]);
    }
    circuit->state = state;
    circuit->until = until > circuit->until ? until : circuit->until;
}

static void close_circuit(gc_breaker_t *b, const model_t *m, int key)
{
    circuit_t *circuit = &m->circuits[key];

    if (circuit->state != CLOSED) {
        gc_metrics_change(b->options.metrics, GC_GAUGE_CIRCUITS_OPEN, -1);
        gc_log(b->options.log, GEM0411, "model %s, key %d: is asked again", m->name, key + 1);
    }
    memset(circuit, 0, sizeof(*circuit));
}

/* Calls that were out when the circuit opened tell nothing new; one that tries it out does. */
static void note_fault(gc_breaker_t *b, const model_t *m, int key, int is_probe)
{
    circuit_t *circuit = &m->circuits[key];

    if (circuit->state == CLOSED && ++circuit->faults < b->options.faults) {
        return;
    }
    if (circuit->state == CLOSED || is_probe) {
        circuit->rest = circuit->rest == 0              ? b->options.rest
                        : circuit->rest < MOST_REST / 2 ? circuit->rest * 2
                                                        : MOST_REST;
        open_circuit(b, m, key, FAULTY, spread(circuit->rest));
    }
}

/* Whether the fault is Gemini's or the network's, and not this prompt's. */
static int is_fault(const gc_gemini_outcome_t *o)
{
    return o->verdict == GC_GEMINI_FAILED && !*o->finish_reason
           && (o->retry == GC_GEMINI_RETRY_YES || o->retry == GC_GEMINI_RETRY_AFTER);
}

/* An answer to a call that was out before is news of a service that failed, but not of a limit or
 * of a key. */
static void note_answer(gc_breaker_t *b, const model_t *m, int key, int is_probe)
{
    const circuit_t *circuit = &m->circuits[key];

    if (is_probe || circuit->state == CLOSED || circuit->state == FAULTY) {
        close_circuit(b, m, key);
    }
}

static int is_rate_limited(const gc_gemini_outcome_t *o)
{
    return o->verdict == GC_GEMINI_FAILED && o->error == GC_GEMINI_ERROR_RATE_LIMITED;
}

void gc_breaker_report(gc_breaker_t *breaker, const char *model, gc_breaker_turn_t turn,
                       const gc_gemini_outcome_t *outcome)
{
    model_t *m = find_model(breaker, model);
    int key = turn.key;

    if (!m || breaker->options.faults == 0) {
        return; /* forgotten, or none is ever opened */
    }
    if (turn.is_probe) {
        m->circuits[key].probing = 0;
    }
    if (!outcome) {
        return;
    }
    if (is_rate_limited(outcome) && outcome->retry == GC_GEMINI_RETRY_FALLBACK) {
        open_circuit(breaker, m, key, SPENT, SPENT_REST);
    } else if (is_rate_limited(outcome)) {
        open_circuit(breaker, m, key, BUSY, outcome->delay);
    } else if (outcome->key_refused) {
        open_circuit(breaker, m, key, REFUSED, REFUSED_REST);
    } else if (is_fault(outcome)) {
        note_fault(breaker, m, key, turn.is_probe);
    } else if (outcome->http_status) {
        note_answer(breaker, m, key, turn.is_probe);
    }
}
