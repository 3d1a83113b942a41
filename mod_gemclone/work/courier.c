/* SPDX-License-Identifier: Apache-2.0
 * Brings one-time codes to the gateway.
 */
#include "courier.h"

#include <apr_ring.h>
#include <apr_strings.h>

#include "core/pause.h"
#include "core/phone.h"
#include "core/timeval.h"

/* Deliveries that a process has at once, and that it takes at once. */
enum { MOST = 64, BATCH = 16, CONNECTIONS = 2 * MOST };

/* What a delivery has until it counts as lost: longer than a call may take (GemcloneSMSTimeout has
 * a minute at most) and its end to be stored. */
#define LEASE apr_time_from_sec(120)

/* The pause after the first failure, doubled for each further one, and the longest; a code that is
 * good no longer is not tried any more. */
#define PAUSE apr_time_from_msec(500)
#define MOST_PAUSE apr_time_from_sec(30)

typedef struct call_t call_t;

struct gc_courier_t {
    gc_courier_options_t options;
    gc_loop_t *loop;
    gc_http_t *http;
    struct event *poll, *patience;
    gc_loop_task_t poke_task;
    int poked;                            /* atomic: poke_task is posted */
    int busy;                             /* a thread claims */
    int again;                            /* and is to do so again */
    int under_way;                        /* deliveries that this process has */
    int denied;                           /* the gateway refused our key last */
    int stopping;                         /* atomic */
    int hurried;                          /* no call is begun any more */
    APR_RING_HEAD(calls_t, call_t) calls; /* that are out */
    void (*drained)(void *baton);
    void *drained_baton;
};

static int is_stopping(gc_courier_t *c)
{
    return __atomic_load_n(&c->stopping, __ATOMIC_ACQUIRE);
}

/* --- Calls ------------------------------------------------------------------ */

struct call_t {
    APR_RING_ENTRY(call_t) link;
    gc_http_call_t *call;
    gc_membuf_t body;
    gc_courier_answered_t *answered;
    void *baton;
};

static apr_status_t data_cb(void *baton, const char *bytes, apr_size_t length)
{
    call_t *call = baton;

    return gc_membuf_append(&call->body, bytes, length);
}

static void done_cb(void *baton, const gc_http_result_t *result)
{
    call_t *call = baton;

    APR_RING_REMOVE(call, link);
    call->answered(call->baton, result, &call->body);
}

void gc_loop_courier_call(gc_courier_t *courier, apr_pool_t *pool, const gc_http_request_t *request,
                          gc_courier_answered_t *answered, void *baton)
{
    static const gc_http_handler_t handler = {NULL, data_cb, done_cb};
    call_t *call = apr_pcalloc(pool, sizeof(*call));

    call->answered = answered;
    call->baton = baton;
    gc_membuf_init(&call->body, pool, GC_SMS_BODY);
    if (courier->hurried) {
        answered(baton, NULL, &call->body);
        return;
    }
    APR_RING_INSERT_TAIL(&courier->calls, call, call_t, link);
    call->call = gc_loop_http_start(courier->http, pool, request, &handler, call);
}

static void give_up_calls(gc_courier_t *c)
{
    c->hurried = 1;
    while (!APR_RING_EMPTY(&c->calls, call_t, link)) {
        call_t *call = APR_RING_FIRST(&c->calls);

        APR_RING_REMOVE(call, link);
        gc_loop_http_cancel(call->call);
        call->answered(call->baton, NULL, &call->body);
    }
}

/* --- One delivery ------------------------------------------------------------- */

/* In its own pool, which goes from thread to thread. */
typedef struct {
    gc_courier_t *courier;
    apr_pool_t *pool;
    gc_delivery_t delivery;
    const char *code; /* or NULL: the gateway makes it */
    gc_http_request_t request;
    gc_sms_answer_t answer;
    gc_loop_task_t task;
} parcel_t;

static void rest(gc_courier_t *c);

static void parcel_over_task(void *baton)
{
    parcel_t *p = baton;
    gc_courier_t *c = p->courier;

    apr_pool_destroy(p->pool);
    c->under_way--;
    rest(c);
}

static void end_parcel(parcel_t *p)
{
    p->task = (gc_loop_task_t){.call = parcel_over_task, .baton = p};
    gc_loop_post(p->courier->loop, &p->task);
}

static int may_repeat(const parcel_t *p)
{
    gc_sms_verdict_e verdict = p->answer.verdict;

    return verdict == GC_SMS_NOT_SENT || verdict == GC_SMS_DENIED
           || (verdict == GC_SMS_UNKNOWN && gc_sms_repeats(p->courier->options.sms));
}

static void log_parcel(const parcel_t *p, int repeats)
{
    const gc_log_t *log = p->courier->options.log;
    const char *number = gc_phone_masked(p->pool, p->delivery.e164);

    if (p->answer.verdict == GC_SMS_DONE) {
        gc_log(log, GEM0103, "a code for %s is with the gateway", number);
    } else if (p->answer.verdict != GC_SMS_DENIED) { /* of that the loop has told */
        gc_log(log, GEM0104, "a code for %s, try %d: %s (status %d); %s", number, p->delivery.tries,
               p->answer.code, p->answer.http_status,
               repeats ? "it is tried again" : "it is given up");
    }
}

/* For each way there is one outcome after the other in metric_list.h. */
static void count_parcel(const parcel_t *p, int repeats)
{
    static const gc_count_e sent[] = {[GC_SMS_TWILIO] = GC_COUNT_OTP_TWILIO_SENT,
                                      [GC_SMS_VERIFY] = GC_COUNT_OTP_VERIFY_SENT,
                                      [GC_SMS_WEBHOOK] = GC_COUNT_OTP_WEBHOOK_SENT};
    const gc_courier_options_t *o = &p->courier->options;
    gc_count_e first = o->sms ? sent[o->sms->kind] : GC_COUNT_OTP_LOG_SENT;

    gc_metrics_count(o->metrics, p->answer.verdict == GC_SMS_DONE ? first
                                 : repeats                        ? first + 1
                                                                  : first + 2);
}

/* On a thread. Should nothing of it be stored, the delivery counts as lost when its lease ends. */
static void settle_task(void *baton)
{
    parcel_t *p = baton;
    gc_db_t *db = p->courier->options.db;
    int repeats = may_repeat(p);

    log_parcel(p, repeats);
    count_parcel(p, repeats);
    if (repeats) {
        (void)!gc_delivery_put_off(db, p->pool, &p->delivery,
                                   gc_pause_after(p->delivery.tries, PAUSE, MOST_PAUSE));
    } else {
        (void)!gc_delivery_end(db, p->pool, &p->delivery);
    }
    end_parcel(p);
}

/* A key that is refused is told of once. */
static void note_denied(gc_courier_t *c, const gc_sms_answer_t *answer)
{
    int denied = answer->verdict == GC_SMS_DENIED;

    if (denied && !c->denied) {
        gc_log(c->options.log, GEM0105, "the SMS gateway refuses GemcloneSMSKey: %s (status %d)",
               answer->code, answer->http_status);
    }
    c->denied = answer->http_status || denied ? denied : c->denied;
}

static void sent(void *baton, const gc_http_result_t *result, const gc_membuf_t *body)
{
    parcel_t *p = baton;
    gc_courier_t *c = p->courier;

    if (!result) { /* nobody knows whether it was sent: as if the process had been killed */
        end_parcel(p);
        return;
    }
    gc_sms_answer_sent(p->pool, c->options.sms, result, body, &p->answer);
    note_denied(c, &p->answer);
    gc_companion_push(c->options.companion, settle_task, p);
}

static void send_task(void *baton)
{
    parcel_t *p = baton;
    gc_courier_t *c = p->courier;

    if (c->hurried) {
        p->answer = (gc_sms_answer_t){.verdict = GC_SMS_NOT_SENT, .code = "stopped"};
        gc_companion_push(c->options.companion, settle_task, p);
    } else {
        gc_loop_courier_call(c, p->pool, &p->request, sent, p);
    }
}

/* On a thread. */
static void dispatch(gc_courier_t *c, apr_pool_t *pool, const gc_delivery_t *delivery)
{
    parcel_t *p = apr_pcalloc(pool, sizeof(*p));
    gc_sms_t message = {.id = delivery->id,
                        .e164 = apr_pstrdup(pool, delivery->e164),
                        .purpose = apr_pstrdup(pool, delivery->purpose),
                        .expires = delivery->expires,
                        .now = apr_time_now()};

    p->courier = c;
    p->pool = pool;
    p->delivery = *delivery;
    p->delivery.e164 = message.e164;
    p->delivery.purpose = message.purpose;
    if (delivery->sealed
        && gc_code_open(pool, c->options.key, delivery->sealed, delivery->sealed_len, &p->code)
               != APR_SUCCESS) {
        /* Sealed by a host with another GemcloneOTPKey: that one can open it, if it is there still.
         */
        p->answer = (gc_sms_answer_t){.verdict = GC_SMS_NOT_SENT, .code = "other_key"};
        settle_task(p);
    } else if (!c->options.sms) {
        c->options.write(c->options.baton, pool, &p->delivery, p->code);
        settle_task(p);
    } else {
        message.code = p->code;
        gc_sms_send(&p->request, pool, c->options.sms, &message);
        p->task = (gc_loop_task_t){.call = send_task, .baton = p};
        gc_loop_post(c->loop, &p->task);
    }
}

/* --- Claiming ------------------------------------------------------------------ */

typedef struct {
    gc_courier_t *courier;
    apr_pool_t *pool;
    gc_loop_task_t task;
    int most, got;
} claim_t;

static void look(gc_courier_t *c);

static void claimed_task(void *baton)
{
    claim_t *claim = baton;
    gc_courier_t *c = claim->courier;

    c->busy = 0;
    c->under_way -= claim->most - claim->got;
    c->again |= claim->got == claim->most;
    apr_pool_destroy(claim->pool);
    rest(c);
}

/* On a thread. What is claimed is under way already. */
static void claim_task(void *baton)
{
    claim_t *claim = baton;
    gc_courier_t *c = claim->courier;
    const gc_courier_options_t *o = &c->options;
    const gc_delivery_claim_t wanted = {.site = o->site,
                                        .most = claim->most,
                                        .lease = LEASE,
                                        .repeats = o->sms && gc_sms_repeats(o->sms),
                                        .budget = o->budget};
    apr_array_header_t *deliveries = NULL;
    int i, spent = 0;

    (void)!gc_delivery_claim(o->db, claim->pool, &wanted, &deliveries, &spent);
    if (spent) {
        gc_metrics_add(o->metrics, GC_COUNT_OTP_OVER_BUDGET, spent);
        gc_log(o->log, GEM0106, "%d codes were not sent: the day's otp-budget is used up", spent);
    }
    claim->got = deliveries ? deliveries->nelts : 0;
    for (i = 0; i < claim->got; i++) {
        dispatch(c, gc_companion_pool(), &APR_ARRAY_IDX(deliveries, i, gc_delivery_t));
    }
    claim->task = (gc_loop_task_t){.call = claimed_task, .baton = claim};
    gc_loop_post(c->loop, &claim->task);
}

static void look(gc_courier_t *c)
{
    int room = MOST - c->under_way;
    apr_pool_t *pool;
    claim_t *claim;

    if (c->busy || room <= 0) {
        c->again = 1;
        return;
    }
    if (is_stopping(c) || !c->options.works) {
        return;
    }
    pool = gc_companion_pool();
    claim = apr_pcalloc(pool, sizeof(*claim));
    claim->courier = c;
    claim->pool = pool;
    claim->most = room < BATCH ? room : BATCH;
    c->again = 0;
    c->busy = 1;
    c->under_way += claim->most;
    gc_companion_push(c->options.companion, claim_task, claim);
}

static void check_drained(gc_courier_t *c)
{
    if (c->drained && !c->busy && c->under_way == 0) {
        void (*drained)(void *) = c->drained;

        c->drained = NULL;
        event_del(c->patience);
        drained(c->drained_baton);
    }
}

/* Something is over: there may be room for more, or nothing may be left. */
static void rest(gc_courier_t *c)
{
    if (c->again && !c->busy) {
        look(c);
    }
    check_drained(c);
}

/* --- On the loop ------------------------------------------------------------ */

static void poll_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_courier_t *c = baton;

    (void)fd;
    (void)what;
    if (!c->busy) {
        look(c);
    }
}

static void patience_cb(evutil_socket_t fd, short what, void *baton)
{
    (void)fd;
    (void)what;
    give_up_calls(baton);
}

static void poke_task(void *baton)
{
    gc_courier_t *c = baton;

    __atomic_store_n(&c->poked, 0, __ATOMIC_RELEASE);
    look(c);
}

const gc_courier_options_t *gc_courier_options(const gc_courier_t *courier)
{
    return &courier->options;
}

void gc_courier_poke(gc_courier_t *courier)
{
    if (!__atomic_exchange_n(&courier->poked, 1, __ATOMIC_ACQ_REL)) {
        gc_loop_post(courier->loop, &courier->poke_task);
    }
}

void gc_loop_courier_drain(gc_courier_t *courier, apr_interval_time_t patience,
                           void (*drained)(void *baton), void *baton)
{
    struct timeval wait = gc_timeval(patience);

    if (!is_stopping(courier)) {
        __atomic_store_n(&courier->stopping, 1, __ATOMIC_RELEASE);
        courier->drained = drained;
        courier->drained_baton = baton;
    }
    if (patience > 0) {
        event_add(courier->patience, &wait);
    } else {
        give_up_calls(courier);
    }
    check_drained(courier);
}

static apr_status_t stop_cb(void *baton)
{
    gc_courier_t *c = baton;

    event_free(c->poll);
    event_free(c->patience);
    return APR_SUCCESS;
}

apr_status_t gc_loop_courier_start(apr_pool_t *pool, const gc_courier_options_t *options,
                                   gc_courier_t **courier)
{
    gc_courier_t *c = apr_pcalloc(pool, sizeof(*c));
    gc_http_options_t http = {
        .ca_file = options->ca_file, .user_agent = "mod_gemclone", .max_connections = CONNECTIONS};
    struct timeval period = gc_timeval(options->poll);
    struct event_base *base;
    apr_status_t rv;

    c->options = *options;
    c->loop = gc_companion_loop(options->companion);
    base = gc_loop_base(c->loop);
    APR_RING_INIT(&c->calls, call_t, link);
    c->poke_task = (gc_loop_task_t){.call = poke_task, .baton = c};
    rv = gc_loop_http_create(&c->http, pool, base, &http);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    c->poll = event_new(base, -1, EV_PERSIST, poll_cb, c);
    c->patience = event_new(base, -1, 0, patience_cb, c);
    if (!c->poll || !c->patience) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, c, stop_cb, apr_pool_cleanup_null);
    if (options->works) {
        event_add(c->poll, &period);
    }
    *courier = c;
    return APR_SUCCESS;
}
