/* SPDX-License-Identifier: Apache-2.0
 * Gateways that bring codes to phones.
 */
#include "sms.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <sodium.h>
#include <string.h>

#include "core/json.h"
#include "core/rfc3339.h"

#define PLACE "{code}"
#define WEBHOOK_SECRET "whsec_"

/* Bytes of a webhook's secret (Standard Webhooks, "Signature scheme"). */
enum { SECRET_MIN = 24, SECRET_MAX = 64 };

/* Twilio's own numbers of errors (https://www.twilio.com/docs/api/errors). */
enum { TWILIO_AUTH = 20003, TWILIO_MAX_CHECKS = 60202 };

/* --- Settings --------------------------------------------------------------- */

static int is_sid(const char *text, const char *prefix)
{
    return text && strncmp(text, prefix, 2) == 0 && strlen(text) == 34
           && strspn(text + 2, "0123456789abcdefABCDEF") == 32;
}

static apr_size_t webhook_key(const gc_sms_settings_t *settings, unsigned char key[SECRET_MAX])
{
    const char *text = settings->key;
    size_t len = 0;

    if (strncmp(text, WEBHOOK_SECRET, strlen(WEBHOOK_SECRET)) == 0) {
        text += strlen(WEBHOOK_SECRET);
    }
    return sodium_base642bin(key, SECRET_MAX, text, strlen(text), NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL)
                   == 0
               ? len
               : 0;
}

static const char *check_webhook(const gc_sms_settings_t *settings, const char **directive)
{
    unsigned char key[SECRET_MAX];

    *directive = "GemcloneSMSURL";
    if (!settings->base_url) {
        return "missing; write the address that is to be called";
    }
    *directive = "GemcloneSMSKey";
    return !settings->key || webhook_key(settings, key) < SECRET_MIN
               ? "is no secret of a webhook: whsec_ and 24 to 64 bytes in base64"
               : NULL;
}

static const char *check_twilio(const gc_sms_settings_t *settings, const char **directive)
{
    *directive = "GemcloneSMSAccount";
    if (!is_sid(settings->account, "AC")) {
        return "must be an account of Twilio's: AC and 32 hexadecimal digits";
    }
    *directive = "GemcloneSMSKeyId";
    if (settings->key_id && !is_sid(settings->key_id, "SK")) {
        return "must be the id of an API key of Twilio's: SK and 32 hexadecimal digits";
    }
    *directive = "GemcloneSMSKey";
    if (!settings->key) {
        return "missing; write the auth token, or the API key's secret, as file:/path";
    }
    *directive = settings->kind == GC_SMS_VERIFY ? "GemcloneSMSService" : "GemcloneSMSFrom";
    if (settings->kind == GC_SMS_VERIFY) {
        return is_sid(settings->service, "VA")
                   ? NULL
                   : "must be a service of Twilio Verify: VA and 32 hexadecimal digits";
    }
    return settings->from && (*settings->from != 'M' || is_sid(settings->from, "MG"))
               ? NULL
               : "must be a number like +15550001111, or a messaging service: MG and 32 hexadecimal"
                 " digits";
}

const char *gc_sms_check(apr_pool_t *pool, const gc_sms_settings_t *settings,
                         const char **directive)
{
    const char *url = settings->base_url, *wrong;

    *directive = "GemcloneSMSURL";
    if (url && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) {
        return apr_psprintf(pool, "'%s' is no address; write one like https://sms.example.com/",
                            url);
    }
    wrong = settings->kind == GC_SMS_WEBHOOK ? check_webhook(settings, directive)
                                             : check_twilio(settings, directive);
    if (!wrong && (!strstr(settings->text, PLACE) || !gc_json_takes(settings->text))) {
        *directive = "GemcloneSMSText";
        wrong = "must have {code} where the code is to stand, and be UTF-8";
    }
    return wrong;
}

int gc_sms_repeats(const gc_sms_settings_t *settings)
{
    return settings->kind == GC_SMS_WEBHOOK;
}

/* --- Requests --------------------------------------------------------------- */

static const char *text_of(apr_pool_t *pool, const gc_sms_settings_t *settings,
                           const gc_sms_t *message)
{
    const char *at = strstr(settings->text, PLACE);

    return apr_pstrcat(pool,
                       apr_pstrmemdup(pool, settings->text, (apr_size_t)(at - settings->text)),
                       message->code, at + strlen(PLACE), NULL);
}

static const char *base64(apr_pool_t *pool, const void *bytes, apr_size_t len)
{
    apr_size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);

    return sodium_bin2base64(apr_palloc(pool, size), size, bytes, len,
                             sodium_base64_VARIANT_ORIGINAL);
}

static void make(gc_http_request_t *request, apr_pool_t *pool, const gc_sms_settings_t *settings,
                 const char *url, const char *body, int headers)
{
    *request = (gc_http_request_t){
        .method = GC_HTTP_POST,
        .url = url,
        .headers = apr_pcalloc(pool, (apr_size_t)headers * sizeof(gc_http_header_t)),
        .body = body,
        .body_length = strlen(body),
        .timeouts = settings->timeouts,
        .max_bytes = GC_SMS_BODY};
}

static void add_header(gc_http_request_t *request, const char *name, const char *value)
{
    ((gc_http_header_t *)request->headers)[request->header_count++] =
        (gc_http_header_t){name, value};
}

/* Names and values by turns; the last name is NULL. */
static const char *form(apr_pool_t *pool, const char *const *fields)
{
    const char *text = "";

    for (; *fields; fields += 2) {
        text = apr_pstrcat(pool, text, *text ? "&" : "", fields[0], "=",
                           apr_pescape_urlencoded(pool, fields[1]), NULL);
    }
    return text;
}

static void make_twilio(gc_http_request_t *request, apr_pool_t *pool,
                        const gc_sms_settings_t *settings, const char *path,
                        const char *const *fields)
{
    const char *who = settings->key_id ? settings->key_id : settings->account;
    const char *pair = apr_pstrcat(pool, who, ":", settings->key, NULL);
    const char *base = settings->base_url                ? settings->base_url
                       : settings->kind == GC_SMS_VERIFY ? "https://verify.twilio.com"
                                                         : "https://api.twilio.com";

    make(request, pool, settings, gc_http_url(pool, base, path), form(pool, fields), 2);
    add_header(request, "Authorization",
               apr_pstrcat(pool, "Basic ", base64(pool, pair, strlen(pair)), NULL));
    add_header(request, "Content-Type", "application/x-www-form-urlencoded");
}

static const char *verify_path(apr_pool_t *pool, const gc_sms_settings_t *settings,
                               const char *what)
{
    return apr_pstrcat(pool, "/v2/Services/", settings->service, what, NULL);
}

/* {type, timestamp, data}, as Standard Webhooks would have it. */
static const char *webhook_body(apr_pool_t *pool, const gc_sms_settings_t *settings,
                                const gc_sms_t *message)
{
    apr_size_t len;
    json_t *json = gc_json_own(
        pool,
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "type", "otp.requested", "timestamp",
                  gc_rfc3339(pool, message->now), "data", "mobile_number", message->e164, "purpose",
                  message->purpose, "code", message->code, "text", text_of(pool, settings, message),
                  "expires_at", gc_rfc3339(pool, message->expires)));

    return gc_json_text(pool, json, &len);
}

static void make_webhook(gc_http_request_t *request, apr_pool_t *pool,
                         const gc_sms_settings_t *settings, const gc_sms_t *message)
{
    const char *id = apr_pstrcat(pool, "msg_", gc_uuid_text(pool, &message->id), NULL);
    const char *when = apr_psprintf(pool, "%" APR_INT64_T_FMT, apr_time_sec(message->now));
    const char *body = webhook_body(pool, settings, message);
    const char *signed_text = apr_pstrcat(pool, id, ".", when, ".", body, NULL);
    unsigned char key[SECRET_MAX], mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, webhook_key(settings, key));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)signed_text, strlen(signed_text));
    crypto_auth_hmacsha256_final(&state, mac);
    make(request, pool, settings, settings->base_url, body, 4);
    add_header(request, "Content-Type", "application/json");
    add_header(request, "webhook-id", id);
    add_header(request, "webhook-timestamp", when);
    add_header(request, "webhook-signature",
               apr_pstrcat(pool, "v1,", base64(pool, mac, sizeof(mac)), NULL));
}

void gc_sms_send(gc_http_request_t *request, apr_pool_t *pool, const gc_sms_settings_t *settings,
                 const gc_sms_t *message)
{
    if (settings->kind == GC_SMS_WEBHOOK) {
        make_webhook(request, pool, settings, message);
    } else if (settings->kind == GC_SMS_VERIFY) {
        const char *const fields[] = {"To", message->e164, "Channel", "sms", NULL};

        make_twilio(request, pool, settings, verify_path(pool, settings, "/Verifications"), fields);
        request->is_once = 1;
    } else {
        const char *const fields[] = {"To",
                                      message->e164,
                                      *settings->from == 'M' ? "MessagingServiceSid" : "From",
                                      settings->from,
                                      "Body",
                                      text_of(pool, settings, message),
                                      NULL};

        make_twilio(
            request, pool, settings,
            apr_pstrcat(pool, "/2010-04-01/Accounts/", settings->account, "/Messages.json", NULL),
            fields);
        request->is_once = 1;
    }
}

void gc_sms_ask(gc_http_request_t *request, apr_pool_t *pool, const gc_sms_settings_t *settings,
                const char *e164, const char *code)
{
    const char *const fields[] = {"To", e164, "Code", code, NULL};

    make_twilio(request, pool, settings, verify_path(pool, settings, "/VerificationCheck"), fields);
    request->is_once = 1; /* a code that is right is used up by it */
}

/* --- Answers ---------------------------------------------------------------- */

static void tell(gc_sms_answer_t *answer, gc_sms_verdict_e verdict, const char *word)
{
    answer->verdict = verdict;
    apr_cpystrn(answer->code, word, sizeof(answer->code));
}

/* No whole answer came. Before there was a connection, nothing was sent either. */
static void read_failure(const gc_http_result_t *result, gc_sms_answer_t *answer)
{
    switch (result->reason) {
    case GC_HTTP_RESOLVE:
    case GC_HTTP_CONNECT:
    case GC_HTTP_TIMEOUT_CONNECT:
        tell(answer, GC_SMS_NOT_SENT, "no_connection");
        break;
    case GC_HTTP_TLS:
        tell(answer, GC_SMS_DENIED, "tls");
        break;
    default:
        tell(answer, GC_SMS_UNKNOWN, "no_answer");
    }
}

/* NULL where the answer is no JSON object. */
static const json_t *read_body(apr_pool_t *pool, const gc_membuf_t *body)
{
    const char *why;
    json_t *json;

    return gc_json_parse(pool, body->bytes ? body->bytes : "", body->length, &json, &why)
                   == APR_SUCCESS
               ? json
               : NULL;
}

/* Twilio's number of an error, or the status. */
static json_int_t error_of(const json_t *body, int status)
{
    const json_t *code = json_object_get(body, "code");

    return json_is_integer(code) ? json_integer_value(code) : status;
}

/* Twilio says 403 of numbers, regions and fraud as well, each by a number of its own. */
static int is_key_refused(const json_t *body, int status)
{
    return status == 401
           || (status == 403
               && (error_of(body, status) == status || error_of(body, status) == TWILIO_AUTH));
}

static void read_refusal(const json_t *body, int status, gc_sms_answer_t *answer)
{
    answer->verdict = is_key_refused(body, status) ? GC_SMS_DENIED
                      : status == 429              ? GC_SMS_NOT_SENT
                      : status / 100 == 4          ? GC_SMS_REFUSED
                                                   : GC_SMS_UNKNOWN;
    apr_snprintf(answer->code, sizeof(answer->code), "%" APR_INT64_T_FMT,
                 (apr_int64_t)error_of(body, status));
}

static int status_is(const json_t *body, const char *status)
{
    const char *text = json_string_value(json_object_get(body, "status"));

    return text && strcmp(text, status) == 0;
}

void gc_sms_answer_sent(apr_pool_t *pool, const gc_sms_settings_t *settings,
                        const gc_http_result_t *result, const gc_membuf_t *body,
                        gc_sms_answer_t *answer)
{
    const json_t *json;

    memset(answer, 0, sizeof(*answer));
    answer->http_status = result->http_status;
    if (result->reason != GC_HTTP_OK) {
        read_failure(result, answer);
        return;
    }
    json = read_body(pool, body);
    if (result->http_status / 100 != 2) {
        read_refusal(json, result->http_status, answer);
    } else if (settings->kind != GC_SMS_WEBHOOK
               && (status_is(json, "failed") || status_is(json, "undelivered"))) {
        tell(answer, GC_SMS_REFUSED, "undelivered");
    }
}

void gc_sms_answer_asked(apr_pool_t *pool, const gc_http_result_t *result, const gc_membuf_t *body,
                         gc_sms_answer_t *answer)
{
    const json_t *json;
    int status = result->http_status;

    memset(answer, 0, sizeof(*answer));
    answer->http_status = status;
    if (result->reason != GC_HTTP_OK) {
        read_failure(result, answer);
        return;
    }
    json = read_body(pool, body);
    if (status / 100 == 2 && json) {
        answer->verdict = status_is(json, "approved") ? GC_SMS_DONE : GC_SMS_WRONG;
    } else if (status == 404 || (status == 429 && error_of(json, status) == TWILIO_MAX_CHECKS)) {
        answer->verdict = GC_SMS_WRONG;
    } else {
        read_refusal(json, status, answer);
    }
}
