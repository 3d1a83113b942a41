/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of Stripe's requests, answers, events and signatures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <cmocka.h>
#include <sodium.h>

#include "core/json.h"
#include "upstream/stripe.h"
#include "upstream/stripe_event.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define USER "01234567-89ab-cdef-fedc-ba9876543210"

static const gc_stripe_settings_t settings = {
    .base_url = "https://stripe.test/", .key = "sk_test_123", .version = "2026-07-29.dahlia"};

/* --- Requests ---------------------------------------------------------------- */

static const char *header(const gc_http_request_t *request, const char *name)
{
    apr_size_t i;

    for (i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

static void test_get(void **state)
{
    gc_http_request_t request;

    (void)state;
    gc_stripe_get(&request, pool, &settings, "/v1/subscriptions/sub_1");
    assert_int_equal(request.method, GC_HTTP_GET);
    assert_string_equal(request.url, "https://stripe.test/v1/subscriptions/sub_1");
    assert_string_equal(header(&request, "Authorization"), "Bearer sk_test_123");
    assert_string_equal(header(&request, "Stripe-Version"), "2026-07-29.dahlia");
    assert_null(header(&request, "Idempotency-Key"));
}

static void test_post(void **state)
{
    static const gc_stripe_field_t fields[] = {
        {"mode", "subscription"},
        {"line_items[0][price]", "price_1"},
        {"customer", NULL},
        {"success_url", "https://a.test/?a=1&b={X} \xC3\xA4"},
        {NULL, NULL}};
    gc_http_request_t request;

    (void)state;
    gc_stripe_post(&request, pool, &settings, "/v1/checkout/sessions", fields, "key-1");
    assert_int_equal(request.method, GC_HTTP_POST);
    assert_string_equal(header(&request, "Idempotency-Key"), "key-1");
    assert_string_equal(header(&request, "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(request.body,
                        "mode=subscription&line_items%5b0%5d%5bprice%5d=price_1&success_url="
                        "https%3a%2f%2fa.test%2f%3fa%3d1%26b%3d%7bX%7d+%c3%a4");
    assert_int_equal(request.body_length, strlen(request.body));
}

static void test_settings(void **state)
{
    static const struct {
        const char *key, *version;
        int good, live;
    } cases[] = {
        {"sk_test_a1", "2026-07-29.dahlia", 1, 0},   {"rk_live_a1", "2026-07-29", 1, 1},
        {"sk_live_a1", "2024-09-30.acacia", 1, 1},   {"pk_test_a1", "2026-07-29.dahlia", 0, 0},
        {"sk_test_a1\n", "2026-07-29.dahlia", 0, 0}, {"sk_test_a1", "dahlia", 0, 0},
        {"sk_test_a1", "2026-07-29.", 0, 0},         {"sk_test_a1", "2026-07-29.Dahlia!", 0, 0},
        {"sk_test_a1", "2026-07-2", 0, 0},           {"", "2026-07-29", 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_stripe_settings_t s = {"https://x", cases[i].key, cases[i].version, {0, 0, 0, 0}};

        if ((gc_stripe_check(pool, &s) == NULL) != cases[i].good) {
            fail_msg("%s %s", cases[i].key, cases[i].version);
        }
        assert_int_equal(gc_stripe_is_live(cases[i].key), cases[i].live);
    }
    assert_true(gc_stripe_is_id("price_1aB"));
    assert_false(gc_stripe_is_id(""));
    assert_false(gc_stripe_is_id("../x"));
    assert_false(gc_stripe_is_id("a/b"));
    assert_false(gc_stripe_is_id("a?b"));
    assert_false(gc_stripe_is_id(NULL));
}

/* --- Answers ------------------------------------------------------------------ */

static void test_answers(void **state)
{
    static const struct {
        gc_http_reason_e reason;
        int status;
        const char *should_retry, *body;
        gc_stripe_verdict_e verdict;
        const char *code;
    } cases[] = {
        {GC_HTTP_OK, 200, NULL, "{\"id\":\"sub_1\"}", GC_STRIPE_DONE, ""},
        {GC_HTTP_OK, 200, NULL, "<html>", GC_STRIPE_AWAY, "no_json"},
        {GC_HTTP_OK, 200, NULL, "[]", GC_STRIPE_AWAY, "no_json"},
        {GC_HTTP_OK, 404, NULL,
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_missing\"}}",
         GC_STRIPE_MISSING, "resource_missing"},
        {GC_HTTP_OK, 400, NULL, "{\"error\":{\"type\":\"idempotency_error\"}}", GC_STRIPE_REFUSED,
         "idempotency_error"},
        {GC_HTTP_OK, 401, NULL, "{\"error\":{\"message\":\"Invalid API Key: sk_x\"}}",
         GC_STRIPE_DENIED, "no_reason_given"},
        {GC_HTTP_OK, 403, NULL, "", GC_STRIPE_DENIED, "no_reason_given"},
        {GC_HTTP_OK, 409, NULL, "{}", GC_STRIPE_AWAY, "no_reason_given"},
        {GC_HTTP_OK, 409, "false", "{}", GC_STRIPE_REFUSED, "no_reason_given"},
        {GC_HTTP_OK, 400, "true", "{}", GC_STRIPE_AWAY, "no_reason_given"},
        {GC_HTTP_OK, 429, NULL, "{\"error\":{\"code\":\"rate_limit\"}}", GC_STRIPE_AWAY,
         "rate_limit"},
        {GC_HTTP_OK, 500, NULL, "oops", GC_STRIPE_AWAY, "no_reason_given"},
        {GC_HTTP_OK, 500, NULL, "{\"error\":{\"code\":\"two words\"}}", GC_STRIPE_AWAY,
         "no_reason_given"},
        {GC_HTTP_TLS, 0, NULL, "", GC_STRIPE_DENIED, "tls"},
        {GC_HTTP_RESET, 200, NULL, "{\"id\":", GC_STRIPE_AWAY, "no_answer"},
        {GC_HTTP_TIMEOUT_TOTAL, 0, NULL, "", GC_STRIPE_AWAY, "no_answer"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        gc_http_result_t result = {.reason = cases[i].reason, .http_status = cases[i].status};
        gc_stripe_reader_t *reader = apr_palloc(pool, sizeof(*reader));
        gc_stripe_answer_t answer;

        gc_stripe_reader_init(reader, pool);
        assert_int_equal(gc_stripe_reader_data(reader, cases[i].body, strlen(cases[i].body)),
                         APR_SUCCESS);
        gc_stripe_reader_end(reader, &result, cases[i].should_retry, &answer);
        if (answer.verdict != cases[i].verdict || strcmp(answer.code, cases[i].code) != 0) {
            fail_msg("case %d: %d %s", (int)i, answer.verdict, answer.code);
        }
        assert_int_equal(answer.body != NULL, answer.verdict == GC_STRIPE_DONE);
    }
}

static void test_answer_without_end(void **state)
{
    static char much[65536];
    gc_stripe_reader_t *reader = apr_palloc(pool, sizeof(*reader));
    int i;

    (void)state;
    gc_stripe_reader_init(reader, pool);
    for (i = 0; i < GC_STRIPE_BODY / (int)sizeof(much); i++) {
        assert_int_equal(gc_stripe_reader_data(reader, much, sizeof(much)), APR_SUCCESS);
    }
    assert_int_not_equal(gc_stripe_reader_data(reader, much, 1), APR_SUCCESS);
}

/* --- Objects ------------------------------------------------------------------- */

static json_t *parse(const char *text)
{
    json_t *json;
    const char *why;

    assert_int_equal(gc_json_parse(pool, text, strlen(text), &json, &why), APR_SUCCESS);
    return json;
}

static void test_subscription(void **state)
{
    static const char *const shapes[] = {
        "{\"object\":\"subscription\",\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\","
        "\"latest_invoice\":\"in_1\",\"created\":100,\"livemode\":false,\"cancel_at_period_end\":true,\"metadata\":{\"user_id\":"
        "\"" USER "\"},\"items\":{\"data\":[{\"price\":{\"id\":\"price_1\"},"
        "\"current_period_start\":200,\"current_period_end\":300}]}}",
        /* Before basil; an expanded customer; an older way to cancel. */
        "{\"object\":\"subscription\",\"id\":\"sub_1\",\"customer\":{\"id\":\"cus_1\"},"
        "\"status\":\"active\",\"created\":100,\"cancel_at\":300,\"metadata\":{\"user_id\":"
        "\"" USER "\"},\"current_period_start\":200,\"current_period_end\":300,"
        "\"items\":{\"data\":[{\"price\":\"price_1\"}]}}"};
    static const char *const bad[] = {
        "{}", "{\"object\":\"customer\",\"id\":\"cus_1\"}",
        "{\"object\":\"subscription\",\"id\":\"sub_1\",\"status\":\"active\"}",
        "{\"object\":\"subscription\",\"id\":\"../x\",\"customer\":\"cus_1\",\"status\":\"active\"}",
        "{\"object\":\"subscription\",\"id\":7,\"customer\":\"cus_1\",\"status\":\"active\"}"};
    gc_subscription_t s;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(shapes); i++) {
        assert_int_equal(gc_stripe_subscription_read(parse(shapes[i]), &s), APR_SUCCESS);
        assert_string_equal(s.id, "sub_1");
        assert_string_equal(s.customer, "cus_1");
        assert_string_equal(s.status, "active");
        assert_string_equal(s.price, "price_1");
        assert_true(s.has_user && s.cancels && !s.is_live);
        assert_string_equal(gc_uuid_text(pool, &s.user), USER);
        assert_int_equal(s.created, apr_time_from_sec(100));
        assert_int_equal(s.period_start, apr_time_from_sec(200));
        assert_int_equal(s.period_end, apr_time_from_sec(300));
    }
    for (i = 0; i < COUNT(bad); i++) {
        assert_int_equal(gc_stripe_subscription_read(parse(bad[i]), &s), GC_EINPUT);
    }
}

/* Until the first payment has come. */
static void test_unpaid(void **state)
{
    static const struct {
        const char *invoice;
        int is_unpaid;
    } cases[] = {
        {"null", 0},
        {"\"in_1\"", 0},
        {"{\"billing_reason\":\"subscription_create\",\"status\":\"open\"}", 1},
        {"{\"billing_reason\":\"subscription_create\",\"status\":\"paid\"}", 0},
        {"{\"billing_reason\":\"subscription_cycle\",\"status\":\"open\"}", 0},
    };
    gc_subscription_t s;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *text = apr_pstrcat(pool,
                                       "{\"object\":\"subscription\",\"id\":\"sub_1\","
                                       "\"customer\":\"cus_1\",\"status\":\"active\","
                                       "\"latest_invoice\":",
                                       cases[i].invoice, "}", NULL);

        assert_int_equal(gc_stripe_subscription_read(parse(text), &s), APR_SUCCESS);
        assert_int_equal(s.is_unpaid, cases[i].is_unpaid);
    }
}

static void test_reversals(void **state)
{
    gc_reversal_t r;

    (void)state;
    assert_int_equal(gc_stripe_reversal_read(
                         parse("{\"object\":\"charge\",\"id\":\"ch_1\",\"customer\":\"cus_1\","
                               "\"refunded\":false,\"amount_refunded\":5}"),
                         &r),
                     APR_SUCCESS);
    assert_string_equal(r.status, "partial");
    assert_false(r.is_dispute);
    assert_int_equal(
        gc_stripe_reversal_read(
            parse("{\"object\":\"dispute\",\"id\":\"dp_1\",\"status\":\"lost\",\"charge\":"
                  "{\"object\":\"charge\",\"id\":\"ch_1\",\"customer\":\"cus_1\"}}"),
            &r),
        APR_SUCCESS);
    assert_string_equal(r.id, "dp_1");
    assert_string_equal(r.customer, "cus_1");
    assert_string_equal(r.status, "lost");
    assert_true(r.is_dispute);
    assert_int_equal(gc_stripe_reversal_read(
                         parse("{\"object\":\"charge\",\"id\":\"ch_1\",\"customer\":null}"), &r),
                     GC_EINPUT);
}

/* --- Events --------------------------------------------------------------------- */

#define EVENT(type, object)                                                                        \
    "{\"object\":\"event\",\"id\":\"evt_1\",\"type\":\"" type "\",\"livemode\":false,"             \
    "\"api_version\":\"2026-07-29.dahlia\",\"data\":{\"object\":" object "}}"

static const char *joined(const char *a, const char *b, const char *c, const char *d, const char *e)
{
    return apr_psprintf(pool, "%s %s %s %s %s", a ? a : "-", b ? b : "-", c ? c : "-", d ? d : "-",
                        e ? e : "-");
}

static void test_events(void **state)
{
    static const struct {
        const char *text, *subscription, *session, *charge, *dispute, *customer;
    } cases[] = {
        {EVENT("customer.subscription.updated",
               "{\"object\":\"subscription\",\"id\":\"sub_1\",\"customer\":\"cus_1\"}"),
         "sub_1", NULL, NULL, NULL, "cus_1"},
        {EVENT("invoice.paid",
               "{\"object\":\"invoice\",\"id\":\"in_1\",\"customer\":\"cus_1\","
               "\"parent\":{\"subscription_details\":{\"subscription\":\"sub_2\"}}}"),
         "sub_2", NULL, NULL, NULL, "cus_1"},
        {EVENT("invoice.paid", "{\"object\":\"invoice\",\"id\":\"in_1\",\"customer\":\"cus_1\","
                               "\"subscription\":\"sub_3\"}"),
         "sub_3", NULL, NULL, NULL, "cus_1"},
        {EVENT("checkout.session.completed",
               "{\"object\":\"checkout.session\",\"id\":\"cs_1\",\"subscription\":\"sub_1\"}"),
         "sub_1", "cs_1", NULL, NULL, NULL},
        {EVENT("charge.refunded", "{\"object\":\"charge\",\"id\":\"ch_1\"}"), NULL, NULL, "ch_1",
         NULL, NULL},
        {EVENT("charge.dispute.created",
               "{\"object\":\"dispute\",\"id\":\"dp_1\",\"charge\":\"ch_1\"}"),
         NULL, NULL, NULL, "dp_1", NULL},
        {EVENT("customer.deleted", "{\"object\":\"customer\",\"id\":\"cus_1\"}"), NULL, NULL, NULL,
         NULL, "cus_1"},
        {EVENT("something.new", "{\"object\":\"thing\",\"id\":\"th_1\"}"), NULL, NULL, NULL, NULL,
         NULL},
        {EVENT("something.odd", "7"), NULL, NULL, NULL, NULL, NULL},
    };
    gc_stripe_event_t event;
    const char *why;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(gc_stripe_event_read(parse(cases[i].text), &event, &why), APR_SUCCESS);
        assert_string_equal(event.id, "evt_1");
        assert_string_equal(
            joined(event.subscription, event.session, event.charge, event.dispute, event.customer),
            joined(cases[i].subscription, cases[i].session, cases[i].charge, cases[i].dispute,
                   cases[i].customer));
    }
}

static void test_no_events(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"object\":\"v2.core.event\",\"id\":\"evt_1\",\"type\":\"x\"}",
        "{\"object\":\"event\",\"type\":\"x\"}",
        "{\"object\":\"event\",\"id\":\"evt_1\"}",
        "{\"object\":\"event\",\"id\":\"a b\",\"type\":\"x\"}"};
    gc_stripe_event_t event;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        const char *why = NULL;

        assert_int_equal(gc_stripe_event_read(parse(bad[i]), &event, &why), GC_EINPUT);
        assert_non_null(why);
    }
}

/* --- Signatures ------------------------------------------------------------------ */

#define BODY "{\"id\":\"evt_1\",\"object\":\"event\"}"
#define AT 1764122400
/* By Perl's Digest::SHA. */
#define BY_ONE "e4c2515df0ac5b66e186e12c10c14110bd8b52cf91318b5797e72990313337cf"
#define BY_TWO "716398b1daf18b53343727bc42efec5e13d501d3ad52083337ca4449e269113c"

static const gc_stripe_secret_t secrets[] = {{(const unsigned char *)"whsec_test_one", 14},
                                             {(const unsigned char *)"whsec_test_two", 14}};

static gc_stripe_signed_e verify(const char *line, int count, int late)
{
    return gc_stripe_verify(line, BODY, strlen(BODY), secrets, count, apr_time_from_sec(AT + late));
}

static void test_signatures(void **state)
{
    static const struct {
        const char *line;
        int count, late;
        gc_stripe_signed_e verdict;
    } cases[] = {
        {"t=1764122400,v1=" BY_ONE, 1, 0, GC_STRIPE_SIGNED},
        {"t=1764122400,v1=" BY_ONE, 1, 300, GC_STRIPE_SIGNED},
        {"t=1764122400,v1=" BY_ONE, 1, -300, GC_STRIPE_SIGNED},
        {"t=1764122400,v1=" BY_ONE, 1, 301, GC_STRIPE_OLD},
        {"t=1764122400,v1=" BY_ONE, 1, -301, GC_STRIPE_OLD},
        {"t=1764122400,v1=" BY_TWO, 1, 0, GC_STRIPE_FORGED},
        {"t=1764122400,v1=" BY_TWO, 2, 0, GC_STRIPE_SIGNED},
        {"t=1764122400,v0=" BY_TWO ",v1=" BY_TWO ",v1=" BY_ONE, 1, 0, GC_STRIPE_SIGNED},
        {"v1=" BY_ONE ",t=1764122400", 1, 0, GC_STRIPE_SIGNED},
        {"t=1764122400,v0=" BY_ONE, 1, 0, GC_STRIPE_UNSIGNED},
        {"t=1764122401,v1=" BY_ONE, 1, 0, GC_STRIPE_FORGED},
        {"t=1764122400,v1=" BY_ONE "0", 1, 0, GC_STRIPE_FORGED},
        {"t=1764122400,v1=", 1, 0, GC_STRIPE_FORGED},
        {"t=,v1=" BY_ONE, 1, 0, GC_STRIPE_UNSIGNED},
        {"t=-5,v1=" BY_ONE, 1, 0, GC_STRIPE_UNSIGNED},
        {"t=99999999999999999999,v1=" BY_ONE, 1, 0, GC_STRIPE_UNSIGNED},
        {"t=1764122400", 1, 0, GC_STRIPE_UNSIGNED},
        {"v1=" BY_ONE, 1, 0, GC_STRIPE_UNSIGNED},
        {"", 1, 0, GC_STRIPE_UNSIGNED},
        {",,,=", 1, 0, GC_STRIPE_UNSIGNED},
        {NULL, 1, 0, GC_STRIPE_UNSIGNED},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        if (verify(cases[i].line, cases[i].count, cases[i].late) != cases[i].verdict) {
            fail_msg("%s", cases[i].line ? cases[i].line : "none");
        }
    }
    assert_int_equal(
        gc_stripe_verify("t=1764122400,v1=" BY_ONE, "", 0, secrets, 1, apr_time_from_sec(AT)),
        GC_STRIPE_UNSIGNED);
    assert_int_equal(gc_stripe_verify("t=1764122400,v1=" BY_ONE, BODY, strlen(BODY) - 1, secrets, 1,
                                      apr_time_from_sec(AT)),
                     GC_STRIPE_FORGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_get),
        FRAMED_TEST(test_post),
        FRAMED_TEST(test_settings),
        FRAMED_TEST(test_answers),
        FRAMED_TEST(test_answer_without_end),
        FRAMED_TEST(test_subscription),
        FRAMED_TEST(test_unpaid),
        FRAMED_TEST(test_reversals),
        FRAMED_TEST(test_events),
        FRAMED_TEST(test_no_events),
        FRAMED_TEST(test_signatures),
    };

    return RUN_FRAMED(tests);
}
