/* SPDX-License-Identifier: Apache-2.0
 * Works off Stripe's events.
 */
#include "billing.h"

#include <apr_ring.h>
#include <apr_strings.h>
#include <semaphore.h>
#include <string.h>

#include "core/json.h"
#include "core/pause.h"
#include "core/timeval.h"
#include "upstream/stripe_event.h"

/* What an event has until another process takes it: a few calls of Stripe's own 80 s each. */
#define LEASE apr_time_from_sec(300)

/* The pause after the first failure, doubled for each further one, and the longest. */
#define PAUSE apr_time_from_msec(500)
#define MOST_PAUSE apr_time_from_sec(3600)

/* An API key that is wrong is not asked about again and again. */
#define DENIED_PAUSE apr_time_from_sec(60)

typedef struct asking_t asking_t;

/* Calls at once where each takes a connection (over HTTP/2 they share one); the others wait. */
enum { CALLS = 100 };

struct gc_billing_t {
    gc_billing_options_t options;
    gc_loop_t *loop;
    gc_http_t *http;
    struct event *poll;
    gc_loop_task_t poke_task, rest_task;
    int poked;                                  /* atomic: poke_task is posted */
    int busy;                                   /* a thread is at it */
    int again;                                  /* and is to look again */
    int denied;                                 /* Stripe refused the key last */
    int stopping;                               /* atomic */
    APR_RING_HEAD(askings_t, asking_t) askings; /* the calls that are out */
    void (*drained)(void *baton);
    void *drained_baton;
};

/* --- Asking Stripe --------------------------------------------------------- */

struct asking_t {
    APR_RING_ENTRY(asking_t) link;
    gc_billing_t *billing;
    gc_stripe_reader_t reader;
    gc_stripe_answer_t answer;
    gc_http_call_t *call;
    gc_billing_answered_t *answered;
    void *baton;
};

static apr_status_t data_cb(void *baton, const char *bytes, apr_size_t length)
{
    asking_t *a = baton;

    return gc_stripe_reader_data(&a->reader, bytes, length);
}

/* A key that is refused is told of once. */
static void note_denied(gc_billing_t *b, const gc_stripe_answer_t *answer)
{
    int denied = answer->verdict == GC_STRIPE_DENIED;

    if (denied && !b->denied) {
        gc_log(b->options.log, GEM0702, "Stripe refuses GemcloneStripeKey: %s (status %d)",
               answer->code, answer->http_status);
    }
    b->denied = answer->http_status || denied ? denied : b->denied;
}

static void done_cb(void *baton, const gc_http_result_t *result)
{
    asking_t *a = baton;

    gc_stripe_reader_end(&a->reader, result, gc_loop_http_header(a->call, "stripe-should-retry"),
                         &a->answer);
    APR_RING_REMOVE(a, link);
    note_denied(a->billing, &a->answer);
    a->answered(a->baton, &a->answer);
}

static void give_up(asking_t *a)
{
    a->answer = (gc_stripe_answer_t){.verdict = GC_STRIPE_AWAY, .code = "stopped"};
    a->answered(a->baton, &a->answer);
}

static int is_stopping(gc_billing_t *b)
{
    return __atomic_load_n(&b->stopping, __ATOMIC_ACQUIRE);
}

void gc_loop_billing_ask(gc_billing_t *billing, apr_pool_t *pool, const gc_http_request_t *request,
                         gc_billing_answered_t *answered, void *baton)
{
    static const gc_http_handler_t handler = {NULL, data_cb, done_cb};
    asking_t *a = apr_pcalloc(pool, sizeof(*a));

    a->billing = billing;
    a->answered = answered;
    a->baton = baton;
    gc_stripe_reader_init(&a->reader, pool);
    if (is_stopping(billing)) {
        give_up(a);
    } else {
        APR_RING_INSERT_TAIL(&billing->askings, a, asking_t, link);
        a->call = gc_loop_http_start(billing->http, pool, request, &handler, a);
    }
}

/* --- The same, from a thread that waits ------------------------------------- */

typedef struct {
    gc_billing_t *billing;
    gc_loop_task_t task;
    apr_pool_t *pool;
    const gc_http_request_t *request;
    gc_stripe_answer_t *answer;
    sem_t done;
} waiting_t;

static void answered_cb(void *baton, const gc_stripe_answer_t *answer)
{
    waiting_t *e = baton;

    *e->answer = *answer;
    sem_post(&e->done);
}

static void ask_task(void *baton)
{
    waiting_t *e = baton;

    gc_loop_billing_ask(e->billing, e->pool, e->request, answered_cb, e);
}

/* The call has a bound, and is over when the process stops. */
static void ask(gc_billing_t *b, apr_pool_t *pool, const gc_http_request_t *request,
                gc_stripe_answer_t *answer)
{
    waiting_t e = {.billing = b,
                   .task = {.call = ask_task, .baton = &e},
                   .pool = pool,
                   .request = request,
                   .answer = answer};

    sem_init(&e.done, 0, 0);
    gc_loop_post(b->loop, &e.task);
    while (sem_wait(&e.done) != 0) {
    }
    sem_destroy(&e.done);
}

/* --- One event, on a thread ------------------------------------------------ */

/* What became of it: a word for the table. Anything but these is a reason to try again. */
static const char done[] = "done", ignored[] = "ignored", foreign[] = "foreign";
static const char database[] = "database";

typedef struct {
    gc_billing_t *billing;
    apr_pool_t *pool;
    const gc_billing_event_t *event;
    gc_stripe_answer_t answer;
    apr_status_t stored;
    gc_billing_change_t change;
} work_t;

/* The body of what is there, or NULL. */
static const json_t *fetch(work_t *w, const char *kind, const char *id, const char *query)
{
    gc_http_request_t request;

    gc_stripe_get(&request, w->pool, &w->billing->options.stripe,
                  apr_pstrcat(w->pool, "/v1/", kind, *id ? "/" : "", id, query, NULL));
    ask(w->billing, w->pool, &request, &w->answer);
    return w->answer.body;
}

/* Tells who reads a user's tier from a cache, and the table what became of it. */
static const char *settle(work_t *w)
{
    const gc_billing_options_t *o = &w->billing->options;

    if (w->stored == APR_SUCCESS && w->change.changed) {
        o->changed(o->baton, &w->change.user);
    }
    return w->stored != APR_SUCCESS ? database : w->change.known ? done : foreign;
}

static const char *unread(const work_t *w)
{
    return *w->answer.code ? w->answer.code : "unexpected_object";
}

static const char *work_subscription(work_t *w, const char *id)
{
    const gc_billing_options_t *o = &w->billing->options;
    const json_t *body = fetch(w, "subscriptions", id, "?expand%5B%5D=latest_invoice");
    gc_subscription_t subscription;

    if (w->answer.verdict == GC_STRIPE_MISSING) {
        w->stored =
            gc_billing_subscription_gone(o->db, w->pool, id, w->event->asked, o->grace, &w->change);
        return settle(w);
    }
    if (!body || gc_stripe_subscription_read(body, &subscription) != APR_SUCCESS) {
        return unread(w);
    }
    w->stored = gc_billing_subscription_store(o->db, w->pool, &subscription, o->price,
                                              w->event->asked, o->grace, &w->change);
    return settle(w);
}

static const char *work_checkout(work_t *w, const gc_stripe_event_t *event)
{
    const gc_billing_options_t *o = &w->billing->options;
    const json_t *body = fetch(w, "checkout/sessions", event->session, "");
    gc_checkout_t checkout;
    const char *outcome;

    if (w->answer.verdict == GC_STRIPE_MISSING) {
        return foreign;
    }
    if (!body || gc_stripe_checkout_read(body, &checkout) != APR_SUCCESS) {
        return unread(w);
    }
    w->stored =
        gc_billing_checkout_store(o->db, w->pool, &checkout, w->event->asked, o->grace, &w->change);
    outcome = settle(w);
    /* Which customer and subscription came of it. */
    return outcome == done && checkout.subscription ? work_subscription(w, checkout.subscription)
                                                    : outcome;
}

static const char *work_reversal(work_t *w, const char *kind, const char *id, const char *query)
{
    const gc_billing_options_t *o = &w->billing->options;
    const json_t *body = fetch(w, kind, id, query);
    gc_reversal_t reversal;

    if (w->answer.verdict == GC_STRIPE_MISSING) {
        return foreign;
    }
    if (!body) {
        return unread(w);
    }
    if (gc_stripe_reversal_read(body, &reversal) != APR_SUCCESS) {
        return foreign; /* of nobody who is a customer */
    }
    w->stored =
        gc_billing_reversal_store(o->db, w->pool, &reversal, w->event->asked, o->grace, &w->change);
    return settle(w);
}

static const char *work_customer(work_t *w, const char *id)
{
    apr_status_t rv = gc_billing_customer_gone(w->billing->options.db, w->pool, id);

    return rv == APR_SUCCESS ? done : rv == GC_ENOENT ? foreign : database;
}

/* --- All subscriptions, page by page ---------------------------------------- */

#define LIST "gemclone.subscriptions.list"

/* An event of our own (sql/deploy/billing.sql) has a page of them read, and leaves another for the
 * next page. */
static apr_status_t leave_next(work_t *w, const char *after)
{
    const char *payload = apr_psprintf(
        w->pool,
        "{\"id\":\"evt_list\",\"object\":\"event\",\"type\":\"" LIST "\",\"after\":\"%s\"}", after);
    const char *id = apr_psprintf(w->pool, "%.17s_%s", w->event->id, after);
    apr_status_t rv = gc_billing_event_store(w->billing->options.db, w->pool, id, LIST, NULL,
                                             payload, strlen(payload));

    return rv == GC_EEXIST ? APR_SUCCESS : rv;
}

static const char *work_list(work_t *w, const json_t *event)
{
    const gc_billing_options_t *o = &w->billing->options;
    const char *after = gc_stripe_reference(event, "after");
    const json_t *body =
        fetch(w, "subscriptions", "",
              apr_pstrcat(w->pool, "?limit=100&status=all&expand%5B%5D=data.latest_invoice&price=",
                          o->price, after ? "&starting_after=" : "", after ? after : "", NULL));
    const json_t *all = json_object_get(body, "data");
    gc_subscription_t subscription;
    size_t i;

    if (!json_is_array(all)) {
        return unread(w);
    }
    for (i = 0; i < json_array_size(all); i++) {
        if (gc_stripe_subscription_read(json_array_get(all, i), &subscription) != APR_SUCCESS) {
            return unread(w);
        }
        w->stored = gc_billing_subscription_store(o->db, w->pool, &subscription, o->price,
                                                  w->event->asked, o->grace, &w->change);
        if (settle(w) == database) {
            return database;
        }
    }
    return i == 0 || !json_is_true(json_object_get(body, "has_more"))
                   || leave_next(w, subscription.id) == APR_SUCCESS
               ? done
               : database;
}

/* --- What an event is about ------------------------------------------------- */

static int begins(const char *type, const char *with)
{
    return strncmp(type, with, strlen(with)) == 0;
}

/* Of events that tell of what is yet to come nothing follows. */
static int is_news(const char *type)
{
    return strcmp(type, "customer.subscription.trial_will_end") != 0
           && strcmp(type, "invoice.upcoming") != 0;
}

static const char *work_event(work_t *w)
{
    gc_stripe_event_t event;
    const char *why;
    json_t *json;

    if (gc_json_parse(w->pool, w->event->payload, w->event->len, &json, &why) != APR_SUCCESS
        || gc_stripe_event_read(json, &event, &why) != APR_SUCCESS || !is_news(event.type)) {
        return ignored;
    }
    if (strcmp(event.type, LIST) == 0) {
        return work_list(w, json);
    }
    if (begins(event.type, "checkout.session.") && event.session) {
        return work_checkout(w, &event);
    }
    if ((begins(event.type, "customer.subscription.") || begins(event.type, "invoice."))
        && event.subscription) {
        return work_subscription(w, event.subscription);
    }
    if (strcmp(event.type, "charge.refunded") == 0 && event.charge) {
        return work_reversal(w, "charges", event.charge, "");
    }
    if (begins(event.type, "charge.dispute.") && event.dispute) {
        return work_reversal(w, "disputes", event.dispute, "?expand%5B%5D=charge");
    }
    if (strcmp(event.type, "customer.deleted") == 0 && event.customer) {
        return work_customer(w, event.customer);
    }
    return ignored;
}

static apr_interval_time_t pause_after(int tries, gc_stripe_verdict_e verdict)
{
    apr_interval_time_t pause = gc_pause_after(tries, PAUSE, MOST_PAUSE);

    return verdict == GC_STRIPE_DENIED && pause < DENIED_PAUSE ? DENIED_PAUSE : pause;
}

static void log_failure(const work_t *w, const char *outcome)
{
    const gc_log_t *log = w->billing->options.log;

    if (w->answer.verdict != GC_STRIPE_DENIED) { /* of that the loop has told */
        gc_log(log, GEM0703, "event %s (%s), try %d: %s", w->event->id, w->event->type,
               w->event->tries, outcome);
    }
}

static void work(gc_billing_t *b, const gc_billing_event_t *event)
{
    work_t w = {.billing = b, .event = event};
    apr_interval_time_t delay = -1;
    const char *outcome;

    w.pool = gc_companion_pool();
    outcome = work_event(&w);
    gc_metrics_count(b->options.metrics, outcome == done      ? GC_COUNT_EVENT_DONE
                                         : outcome == ignored ? GC_COUNT_EVENT_IGNORED
                                         : outcome == foreign ? GC_COUNT_EVENT_FOREIGN
                                                              : GC_COUNT_EVENT_FAILED);
    if (outcome != done && outcome != ignored && outcome != foreign) {
        delay = is_stopping(b) ? 0 : pause_after(event->tries, w.answer.verdict);
        if (!is_stopping(b)) {
            log_failure(&w, outcome);
        }
    } else {
        gc_log(b->options.log, GEM0701, "event %s (%s): %s", event->id, event->type, outcome);
    }
    /* Should that fail, store has logged why, and it is taken again when the lease is over. */
    (void)!gc_billing_event_end(b->options.db, w.pool, event, outcome, delay);
    apr_pool_destroy(w.pool);
}

static void rest_task(void *baton);

/* One by one: a lease is for one event. */
static void work_task(void *baton)
{
    gc_billing_t *b = baton;
    apr_array_header_t *events;
    apr_pool_t *pool;
    int got;

    do {
        pool = gc_companion_pool();
        got = !is_stopping(b)
              && gc_billing_events_claim(b->options.db, pool, b->options.name, 1, LEASE, &events)
                     == APR_SUCCESS
              && events->nelts > 0;
        if (got) {
            work(b, &APR_ARRAY_IDX(events, 0, gc_billing_event_t));
        }
        apr_pool_destroy(pool);
    } while (got);
    b->rest_task.call = rest_task;
    b->rest_task.baton = b;
    gc_loop_post(b->loop, &b->rest_task);
}

/* --- On the loop ----------------------------------------------------------- */

static void check_drained(gc_billing_t *b)
{
    if (b->drained && !b->busy) {
        void (*drained)(void *) = b->drained;

        b->drained = NULL;
        drained(b->drained_baton);
    }
}

static void look(gc_billing_t *b)
{
    if (b->busy) {
        b->again = 1;
    } else if (!is_stopping(b) && b->options.works) {
        b->again = 0;
        b->busy = 1;
        gc_companion_push(b->options.companion, work_task, b);
    }
}

static void rest_task(void *baton)
{
    gc_billing_t *b = baton;

    b->busy = 0;
    if (b->again) {
        look(b);
    }
    check_drained(b);
}

static void poll_cb(evutil_socket_t fd, short what, void *baton)
{
    gc_billing_t *b = baton;

    (void)fd;
    (void)what;
    if (!b->busy) {
        look(b);
    }
}

static void poke_task(void *baton)
{
    gc_billing_t *b = baton;

    __atomic_store_n(&b->poked, 0, __ATOMIC_RELEASE);
    look(b);
}

const gc_billing_options_t *gc_billing_options(const gc_billing_t *billing)
{
    return &billing->options;
}

void gc_billing_poke(gc_billing_t *billing)
{
    if (!__atomic_exchange_n(&billing->poked, 1, __ATOMIC_ACQ_REL)) {
        gc_loop_post(billing->loop, &billing->poke_task);
    }
}

void gc_loop_billing_drain(gc_billing_t *billing, void (*drained)(void *baton), void *baton)
{
    if (is_stopping(billing)) {
        return;
    }
    __atomic_store_n(&billing->stopping, 1, __ATOMIC_RELEASE);
    billing->drained = drained;
    billing->drained_baton = baton;
    while (!APR_RING_EMPTY(&billing->askings, asking_t, link)) {
        asking_t *a = APR_RING_FIRST(&billing->askings);

        APR_RING_REMOVE(a, link);
        gc_loop_http_cancel(a->call);
        give_up(a);
    }
    check_drained(billing);
}

static apr_status_t stop_cb(void *baton)
{
    gc_billing_t *b = baton;

    event_free(b->poll);
    return APR_SUCCESS;
}

apr_status_t gc_loop_billing_start(apr_pool_t *pool, const gc_billing_options_t *options,
                                   gc_billing_t **billing)
{
    gc_billing_t *b = apr_pcalloc(pool, sizeof(*b));
    gc_http_options_t http = {
        .ca_file = options->ca_file, .user_agent = "mod_gemclone", .max_connections = CALLS};
    struct timeval period = gc_timeval(options->poll);
    apr_status_t rv;

    b->options = *options;
    b->loop = gc_companion_loop(options->companion);
    APR_RING_INIT(&b->askings, asking_t, link);
    b->poke_task.call = poke_task;
    b->poke_task.baton = b;
    rv = gc_loop_http_create(&b->http, pool, gc_loop_base(b->loop), &http);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    b->poll = event_new(gc_loop_base(b->loop), -1, EV_PERSIST, poll_cb, b);
    if (!b->poll) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, b, stop_cb, apr_pool_cleanup_null);
    if (options->works) {
        event_add(b->poll, &period);
    }
    *billing = b;
    return APR_SUCCESS;
}
