/* SPDX-License-Identifier: Apache-2.0
 * Stripe's events as admins see them. What stands in one is Stripe's to show.
 */
#include "admin.h"
#include "answer.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "store/admin.h"

/* In the order of gc_events_e. */
static const char *const states[] = {"waiting", "failing", "done", NULL};

static json_t *event_json(const gc_request_t *q, const gc_event_row_t *event)
{
    gc_events_e state = !event->due      ? GC_EVENTS_DONE
                        : event->outcome ? GC_EVENTS_FAILING
                                         : GC_EVENTS_WAITING;
    json_t *json =
        json_pack("{s:s, s:s, s:s?, s:s, s:s, s:i}", "id", event->id, "type", event->type,
                  "api_version", event->api_version, "state", states[state], "received_at",
                  gc_rfc3339(q->pool, event->received), "tries", event->tries);

    if (state == GC_EVENTS_DONE) {
        json_object_set_new(json, "outcome", gc_json_string_or_null(event->outcome));
        json_object_set_new(json, "ended_at", gc_admin_time(q, event->ended));
    } else {
        json_object_set_new(json, "error", gc_json_string_or_null(event->outcome));
        json_object_set_new(json, "worker", gc_json_string_or_null(event->worker));
        json_object_set_new(json, "run_at", gc_admin_time(q, event->due));
    }
    return json;
}

static int answer_failure(gc_request_t *q, apr_status_t rv)
{
    return rv == GC_ENOENT ? gc_answer_error(q, HTTP_NOT_FOUND, "No such event has come.")
                           : gc_answer_failure(q, rv);
}

int gc_handle_admin_webhooks(gc_request_t *q)
{
    apr_array_header_t *events;
    gc_page_t page;
    const char *why;
    json_t *list;
    apr_status_t rv;
    int which, i;

    if (gc_admin_list(q, states, &which, &page, &why) != APR_SUCCESS) {
        return gc_answer_error(q, HTTP_BAD_REQUEST, why);
    }
    rv = gc_admin_events(q->service->db, q->pool, (gc_events_e)which, page.limit + 1,
                         page.has_cursor ? &page.after : NULL, &events);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    list = json_array();
    for (i = 0; i < events->nelts && i < page.limit; i++) {
        json_array_append_new(list, event_json(q, &APR_ARRAY_IDX(events, i, gc_event_row_t)));
    }
    return gc_admin_answer_list(
        q, "webhooks", list,
        events->nelts > i ? &APR_ARRAY_IDX(events, i - 1, gc_event_row_t).place : NULL);
}

static int answer_event(gc_request_t *q, const char *message)
{
    gc_event_row_t event;
    apr_status_t rv = gc_admin_event(q->service->db, q->pool, q->event, &event);

    return rv == APR_SUCCESS ? gc_answer_json(
               q, HTTP_OK,
               json_pack("{s:s, s:o}", "message", message, "webhook", event_json(q, &event)))
                             : answer_failure(q, rv);
}

int gc_handle_admin_webhook(gc_request_t *q)
{
    return answer_event(q, "An event of Stripe's.");
}

int gc_handle_admin_webhook_replay(gc_request_t *q)
{
    gc_billing_t *billing = __atomic_load_n(&q->service->billing, __ATOMIC_ACQUIRE);
    apr_status_t rv = gc_admin_event_again(q->service->db, q->pool, q->event);

    if (rv != APR_SUCCESS) {
        return answer_failure(q, rv);
    }
    gc_admin_note(q, "event %s: worked off again", q->event);
    if (billing) {
        gc_billing_poke(billing);
    }
    return answer_event(q, "The event is worked off again.");
}
