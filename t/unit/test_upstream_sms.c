/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of SMS gateways: settings, requests, and what answers mean.
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

#include "upstream/sms.h"
#include "frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEX "0123456789abcdef0123456789abcdef"

static const gc_sms_settings_t twilio = {.kind = GC_SMS_TWILIO,
                                         .base_url = "https://sms.test/",
                                         .account = "AC" HEX,
                                         .key = "secret",
                                         .from = "+15550009999",
                                         .text = "Code: {code}!"};

/* The secret and the times are those of the specification's example of a signature. */
static const gc_sms_settings_t hook = {.kind = GC_SMS_WEBHOOK,
                                       .base_url = "https://hook.test/otp",
                                       .key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                       .text = "Code: {code}!"};

static const gc_sms_t message = {.id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                                 .e164 = "+15550100123",
                                 .purpose = "login",
                                 .code = "907417",
                                 .expires = 1614265630 * APR_USEC_PER_SEC,
                                 .now = 1614265330 * APR_USEC_PER_SEC};

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

/* --- Settings ----------------------------------------------------------------- */

static const char *blamed(gc_sms_settings_t settings)
{
    const char *directive;

    return gc_sms_check(pool, &settings, &directive) ? directive : "";
}

static void test_settings(void **state)
{
    gc_sms_settings_t verify = twilio;

    (void)state;
    verify.kind = GC_SMS_VERIFY;
    verify.service = "VA" HEX;
    assert_string_equal(blamed(twilio), "");
    assert_string_equal(blamed(hook), "");
    assert_string_equal(blamed(verify), "");
#define BLAMED(base, member, value, directive)                                                     \
    do {                                                                                           \
        gc_sms_settings_t other = base;                                                            \
        other.member = value;                                                                      \
        assert_string_equal(blamed(other), directive);                                             \
    } while (0)
    BLAMED(twilio, base_url, "sms.test", "GemcloneSMSURL");
    BLAMED(twilio, account, NULL, "GemcloneSMSAccount");
    BLAMED(twilio, account, "AC" HEX "0", "GemcloneSMSAccount");
    BLAMED(twilio, account, "SK" HEX, "GemcloneSMSAccount");
    BLAMED(twilio, key_id, "AC" HEX, "GemcloneSMSKeyId");
    BLAMED(twilio, key_id, "SK" HEX, "");
    BLAMED(twilio, key, NULL, "GemcloneSMSKey");
    BLAMED(twilio, from, NULL, "GemcloneSMSFrom");
    BLAMED(twilio, from, "MG123", "GemcloneSMSFrom");
    BLAMED(twilio, from, "MG" HEX, "");
    BLAMED(twilio, text, "no place", "GemcloneSMSText");
    BLAMED(hook, text, "Schl\xFCssel {code}", "GemcloneSMSText");
    BLAMED(hook, text, "Schl\xC3\xBCssel {code}", "");
    BLAMED(verify, service, NULL, "GemcloneSMSService");
    BLAMED(verify, service, "MG" HEX, "GemcloneSMSService");
    BLAMED(hook, base_url, NULL, "GemcloneSMSURL");
    BLAMED(hook, key, NULL, "GemcloneSMSKey");
    BLAMED(hook, key, "whsec_c2hvcnQ=", "GemcloneSMSKey");
    BLAMED(hook, key, "whsec_no base64", "GemcloneSMSKey");
    BLAMED(hook, key, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "");
#undef BLAMED
    assert_true(gc_sms_repeats(&hook));
    assert_false(gc_sms_repeats(&twilio));
    assert_false(gc_sms_repeats(&verify));
}

/* --- Requests ----------------------------------------------------------------- */

static void test_messages(void **state)
{
    gc_sms_settings_t other = twilio;
    gc_http_request_t request;

    (void)state;
    gc_sms_send(&request, pool, &twilio, &message);
    assert_int_equal(request.method, GC_HTTP_POST);
    assert_string_equal(request.url,
                        "https://sms.test/2010-04-01/Accounts/AC" HEX "/Messages.json");
    assert_string_equal(request.body,
                        "To=%2b15550100123&From=%2b15550009999&Body=Code%3a+907417%21");
    assert_string_equal(header(&request, "Authorization"),
                        "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpzZWNyZXQ=");
    assert_true(request.is_once);
    other.from = "MG" HEX;
    other.key_id = "SK" HEX;
    other.base_url = NULL;
    gc_sms_send(&request, pool, &other, &message);
    assert_non_null(strstr(request.url, "https://api.twilio.com/2010-04-01/Accounts/AC" HEX));
    assert_non_null(strstr(request.body, "&MessagingServiceSid=MG" HEX "&"));
    assert_null(strstr(request.body, "From="));
    assert_string_equal(header(&request, "Authorization"),
                        "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpzZWNyZXQ=");
}

static void test_verify(void **state)
{
    gc_sms_settings_t verify = twilio;
    gc_http_request_t request;

    (void)state;
    verify.kind = GC_SMS_VERIFY;
    verify.service = "VA" HEX;
    verify.base_url = NULL;
    gc_sms_send(&request, pool, &verify, &message);
    assert_string_equal(request.url,
                        "https://verify.twilio.com/v2/Services/VA" HEX "/Verifications");
    assert_string_equal(request.body, "To=%2b15550100123&Channel=sms");
    assert_true(request.is_once);
    gc_sms_ask(&request, pool, &verify, "+15550100123", "90 7&4");
    assert_string_equal(request.url,
                        "https://verify.twilio.com/v2/Services/VA" HEX "/VerificationCheck");
    assert_string_equal(request.body, "To=%2b15550100123&Code=90+7%264");
    assert_true(request.is_once);
}

/* The signature is made anew, by another function of libsodium's. */
static void test_webhook(void **state)
{
    static const char id[] = "msg_01020304-0506-0708-090a-0b0c0d0e0f10";
    unsigned char key[24], mac[crypto_auth_hmacsha256_BYTES];
    gc_http_request_t request;
    char wanted[64] = "v1,";
    const char *text;
    crypto_auth_hmacsha256_state mac_state;

    (void)state;
    gc_sms_send(&request, pool, &hook, &message);
    assert_string_equal(request.url, "https://hook.test/otp");
    assert_string_equal(header(&request, "Content-Type"), "application/json");
    assert_string_equal(header(&request, "webhook-id"), id);
    assert_string_equal(header(&request, "webhook-timestamp"), "1614265330");
    assert_string_equal(request.body,
                        "{\"type\":\"otp.requested\",\"timestamp\":\"2021-02-25T15:02:10.000000Z\","
                        "\"data\":{\"mobile_number\":\"+15550100123\",\"purpose\":\"login\","
                        "\"code\":\"907417\",\"text\":\"Code: 907417!\","
                        "\"expires_at\":\"2021-02-25T15:07:10.000000Z\"}}");
    text = apr_pstrcat(pool, id, ".1614265330.", request.body, NULL);
    assert_int_equal(sodium_base642bin(key, sizeof(key), hook.key + 6, strlen(hook.key + 6), NULL,
                                       NULL, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    crypto_auth_hmacsha256_init(&mac_state, key, sizeof(key));
    crypto_auth_hmacsha256_update(&mac_state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&mac_state, mac);
    sodium_bin2base64(wanted + 3, sizeof(wanted) - 3, mac, sizeof(mac),
                      sodium_base64_VARIANT_ORIGINAL);
    assert_string_equal(header(&request, "webhook-signature"), wanted);
    assert_false(request.is_once);
}

/* --- Answers ------------------------------------------------------------------ */

typedef struct {
    int status;
    const char *body;
    gc_sms_verdict_e sent, asked;
    const char *code; /* of a message that was sent */
} case_t;

static const case_t cases[] = {
    {201, "{\"status\":\"queued\",\"sid\":\"SM1\"}", GC_SMS_DONE, GC_SMS_WRONG, ""},
    {201, "{\"status\":\"failed\",\"error_code\":30450}", GC_SMS_REFUSED, GC_SMS_WRONG,
     "undelivered"},
    {201, "{\"status\":\"undelivered\"}", GC_SMS_REFUSED, GC_SMS_WRONG, "undelivered"},
    {200, "{\"status\":\"approved\",\"valid\":true}", GC_SMS_DONE, GC_SMS_DONE, ""},
    {200, "{\"status\":\"pending\",\"valid\":false}", GC_SMS_DONE, GC_SMS_WRONG, ""},
    {200, "{\"status\":[]}", GC_SMS_DONE, GC_SMS_WRONG, ""},
    {201, "oops", GC_SMS_DONE, GC_SMS_UNKNOWN, ""},
    {204, "", GC_SMS_DONE, GC_SMS_UNKNOWN, ""},
    {400, "{\"code\":21211,\"message\":\"x\"}", GC_SMS_REFUSED, GC_SMS_REFUSED, "21211"},
    {400, "{\"code\":\"21211\"}", GC_SMS_REFUSED, GC_SMS_REFUSED, "400"},
    {401, "{\"code\":20003}", GC_SMS_DENIED, GC_SMS_DENIED, "20003"},
    {403, "{\"code\":20003}", GC_SMS_DENIED, GC_SMS_DENIED, "20003"},
    {403, "", GC_SMS_DENIED, GC_SMS_DENIED, "403"},
    {403, "{\"code\":60605}", GC_SMS_REFUSED, GC_SMS_REFUSED, "60605"},
    {404, "{\"code\":20404}", GC_SMS_REFUSED, GC_SMS_WRONG, "20404"},
    {429, "{\"code\":20429}", GC_SMS_NOT_SENT, GC_SMS_NOT_SENT, "20429"},
    {429, "{\"code\":60202}", GC_SMS_NOT_SENT, GC_SMS_WRONG, "60202"},
    {500, "{\"code\":20500}", GC_SMS_UNKNOWN, GC_SMS_UNKNOWN, "20500"},
    {503, "<html>", GC_SMS_UNKNOWN, GC_SMS_UNKNOWN, "503"},
    {302, "", GC_SMS_UNKNOWN, GC_SMS_UNKNOWN, "302"},
};

static void test_answers(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const gc_http_result_t result = {.reason = GC_HTTP_OK, .http_status = cases[i].status};
        const gc_membuf_t body = {.bytes = (char *)cases[i].body, .length = strlen(cases[i].body)};
        gc_sms_answer_t answer;

        gc_sms_answer_sent(pool, &twilio, &result, &body, &answer);
        assert_int_equal(answer.verdict, cases[i].sent);
        assert_int_equal(answer.http_status, cases[i].status);
        assert_string_equal(answer.code, cases[i].code);
        gc_sms_answer_asked(pool, &result, &body, &answer);
        assert_int_equal(answer.verdict, cases[i].asked);
    }
}

/* A webhook's status is its word, whatever its body says. */
static void test_webhook_answers(void **state)
{
    const gc_http_result_t good = {.reason = GC_HTTP_OK, .http_status = 200};
    const gc_membuf_t body = {.bytes = (char *)"{\"status\":\"failed\"}", .length = 19};
    gc_sms_answer_t answer;

    (void)state;
    gc_sms_answer_sent(pool, &hook, &good, &body, &answer);
    assert_int_equal(answer.verdict, GC_SMS_DONE);
}

static void test_no_answer(void **state)
{
    static const struct {
        gc_http_reason_e reason;
        gc_sms_verdict_e verdict;
    } reasons[] = {
        {GC_HTTP_RESOLVE, GC_SMS_NOT_SENT},
        {GC_HTTP_CONNECT, GC_SMS_NOT_SENT},
        {GC_HTTP_TIMEOUT_CONNECT, GC_SMS_NOT_SENT},
        {GC_HTTP_TLS, GC_SMS_DENIED},
        {GC_HTTP_TIMEOUT_TOTAL, GC_SMS_UNKNOWN},
        {GC_HTTP_TIMEOUT_FIRST, GC_SMS_UNKNOWN},
        {GC_HTTP_RESET, GC_SMS_UNKNOWN},
        {GC_HTTP_TOO_BIG, GC_SMS_UNKNOWN},
        {GC_HTTP_OTHER, GC_SMS_UNKNOWN},
    };
    const gc_membuf_t none = {0};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(reasons); i++) {
        const gc_http_result_t result = {.reason = reasons[i].reason, .status = APR_EGENERAL};
        gc_sms_answer_t answer;

        gc_sms_answer_sent(pool, &twilio, &result, &none, &answer);
        assert_int_equal(answer.verdict, reasons[i].verdict);
        assert_true(*answer.code);
        gc_sms_answer_asked(pool, &result, &none, &answer);
        assert_int_equal(answer.verdict, reasons[i].verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAMED_TEST(test_settings),  FRAMED_TEST(test_messages), FRAMED_TEST(test_verify),
        FRAMED_TEST(test_webhook),   FRAMED_TEST(test_answers),  FRAMED_TEST(test_webhook_answers),
        FRAMED_TEST(test_no_answer),
    };

    return RUN_FRAMED(tests);
}
