/* SPDX-License-Identifier: Apache-2.0
 * Stripe's API: requests are made and answers read.
 */
#include "stripe.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"

/* Seconds that an apr_time_t holds. */
#define LATEST (APR_INT64_MAX / APR_USEC_PER_SEC)

static const char id_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

int gc_stripe_is_id(const char *text)
{
    apr_size_t len = text ? strspn(text, id_characters) : 0;

    return len > 0 && len <= GC_STRIPE_ID && text[len] == '\0';
}

int gc_stripe_is_live(const char *key)
{
    return strstr(key, "_live_") != NULL;
}

/* --- Settings ------------------------------------------------------------- */

/* 2026-07-29.dahlia */
static int is_version(const char *text)
{
    static const char form[] = "dddd-dd-dd";
    int i;

    for (i = 0; form[i]; i++) {
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) {
            return 0;
        }
    }
    text += i;
    return *text == '\0'
           || (*text == '.' && text[1]
               && !text[1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz_")]);
}

const char *gc_stripe_check(apr_pool_t *pool, const gc_stripe_settings_t *settings)
{
    const char *key = settings->key;

    if (strncmp(key, "sk_", 3) != 0 && strncmp(key, "rk_", 3) != 0) {
        return "the key is no secret or restricted key: those begin with sk_ or rk_";
    }
    if (key[strspn(key, id_characters)]) {
        return "the key has characters that no key has";
    }
    if (!is_version(settings->version)) {
        return apr_psprintf(pool, "%s is no version of the API, such as 2026-07-29.dahlia",
                            settings->version);
    }
    return NULL;
}

/* --- Requests ------------------------------------------------------------- */

static void make(gc_http_request_t *request, apr_pool_t *pool, const gc_stripe_settings_t *settings,
                 gc_http_method_e method, const char *path)
{
    gc_http_header_t *headers = apr_pcalloc(pool, 4 * sizeof(*headers));

    headers[0] =
        (gc_http_header_t){"Authorization", apr_pstrcat(pool, "Bearer ", settings->key, NULL)};
    headers[1] = (gc_http_header_t){"Stripe-Version", settings->version};
    *request = (gc_http_request_t){.method = method,
                                   .url = gc_http_url(pool, settings->base_url, path),
                                   .headers = headers,
                                   .header_count = 2,
                                   .timeouts = settings->timeouts,
                                   .max_bytes = GC_STRIPE_BODY};
}

static void add_header(gc_http_request_t *request, const char *name, const char *value)
{
    ((gc_http_header_t *)request->headers)[request->header_count++] =
        (gc_http_header_t){name, value};
}

/* Stripe reads brackets as they are, too; escaped they are right by any reading. */
static const char *form(apr_pool_t *pool, const gc_stripe_field_t *fields)
{
    const char *text = "";

    for (; fields->name; fields++) {
        if (fields->value) {
            text = apr_pstrcat(pool, text, *text ? "&" : "",
                               apr_pescape_urlencoded(pool, fields->name), "=",
                               apr_pescape_urlencoded(pool, fields->value), NULL);
        }
    }
    return text;
}

void gc_stripe_get(gc_http_request_t *request, apr_pool_t *pool,
                   const gc_stripe_settings_t *settings, const char *path)
{
    make(request, pool, settings, GC_HTTP_GET, path);
}

void gc_stripe_post(gc_http_request_t *request, apr_pool_t *pool,
                    const gc_stripe_settings_t *settings, const char *path,
                    const gc_stripe_field_t *fields, const char *key)
{
    make(request, pool, settings, GC_HTTP_POST, path);
    add_header(request, "Content-Type", "application/x-www-form-urlencoded");
    add_header(request, "Idempotency-Key", key);
    request->body = form(pool, fields);
    request->body_length = strlen(request->body);
}

void gc_stripe_delete(gc_http_request_t *request, apr_pool_t *pool,
                      const gc_stripe_settings_t *settings, const char *path, const char *key)
{
    make(request, pool, settings, GC_HTTP_DELETE, path);
    add_header(request, "Idempotency-Key", key);
}

/* --- Answers -------------------------------------------------------------- */

void gc_stripe_reader_init(gc_stripe_reader_t *reader, apr_pool_t *pool)
{
    reader->pool = pool;
    gc_membuf_init(&reader->bytes, pool, GC_STRIPE_BODY);
}

apr_status_t gc_stripe_reader_data(gc_stripe_reader_t *reader, const char *bytes, apr_size_t length)
{
    return gc_membuf_append(&reader->bytes, bytes, length);
}

/* Only what may stand in a log as it is. */
static void take_word(char word[GC_STRIPE_WORD], const char *text)
{
    apr_size_t len = text ? strspn(text, id_characters) : 0;

    if (len > 0 && len < GC_STRIPE_WORD && text[len] == '\0') {
        memcpy(word, text, len + 1);
    }
}

static void read_error(const json_t *body, gc_stripe_answer_t *answer)
{
    const json_t *error = json_object_get(body, "error");

    take_word(answer->code, json_string_value(json_object_get(error, "type")));
    take_word(answer->code, json_string_value(json_object_get(error, "code")));
    if (!*answer->code) {
        apr_cpystrn(answer->code, "no_reason_given", sizeof(answer->code));
    }
}

/* As Stripe's libraries have it: the header decides, and else the status. */
static gc_stripe_verdict_e verdict_of(int status, const char *should_retry)
{
    if (should_retry && strcasecmp(should_retry, "true") == 0) {
        return GC_STRIPE_AWAY;
    }
    if (status == 401 || status == 403) {
        return GC_STRIPE_DENIED;
    }
    if (status == 404) {
        return GC_STRIPE_MISSING;
    }
    if (should_retry && strcasecmp(should_retry, "false") == 0) {
        return GC_STRIPE_REFUSED;
    }
    return status == 409 || status == 429 || status >= 500 ? GC_STRIPE_AWAY : GC_STRIPE_REFUSED;
}

void gc_stripe_reader_end(gc_stripe_reader_t *reader, const gc_http_result_t *result,
                          const char *should_retry, gc_stripe_answer_t *answer)
{
    const char *why;
    json_t *body = NULL;

    memset(answer, 0, sizeof(*answer));
    answer->http_status = result->http_status;
    if (result->reason != GC_HTTP_OK) {
        answer->verdict = result->reason == GC_HTTP_TLS ? GC_STRIPE_DENIED : GC_STRIPE_AWAY;
        apr_cpystrn(answer->code, result->reason == GC_HTTP_TLS ? "tls" : "no_answer",
                    sizeof(answer->code));
        return;
    }
    if (gc_json_parse(reader->pool, reader->bytes.bytes, reader->bytes.length, &body, &why)
        != APR_SUCCESS) {
        body = NULL;
    }
    if (result->http_status / 100 == 2 && json_is_object(body)) {
        answer->body = body;
    } else if (result->http_status / 100 == 2) {
        answer->verdict = GC_STRIPE_AWAY;
        apr_cpystrn(answer->code, "no_json", sizeof(answer->code));
    } else {
        answer->verdict = verdict_of(result->http_status, should_retry);
        read_error(body, answer);
    }
}

/* --- Objects -------------------------------------------------------------- */

const char *gc_stripe_text(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* A time that cannot be is none. */
static apr_time_t time_of(const json_t *object, const char *member)
{
    json_int_t seconds = json_integer_value(json_object_get(object, member));

    return seconds > 0 && seconds <= LATEST ? apr_time_from_sec(seconds) : 0;
}

static int is(const json_t *object, const char *kind)
{
    const char *text = gc_stripe_text(object, "object");

    return text && strcmp(text, kind) == 0 && gc_stripe_is_id(gc_stripe_text(object, "id"));
}

const char *gc_stripe_reference(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    const char *id = json_is_object(value) ? gc_stripe_text(value, "id") : json_string_value(value);

    return gc_stripe_is_id(id) ? id : NULL;
}

static int read_uuid(const json_t *object, const char *member, gc_uuid_t *uuid)
{
    const char *text = gc_stripe_text(object, member);

    return text && gc_uuid_parse(uuid, text, strlen(text)) == APR_SUCCESS;
}

static int text_is(const json_t *object, const char *member, const char *text)
{
    const char *found = gc_stripe_text(object, member);

    return found && strcmp(found, text) == 0;
}

/* Banks that take their time: the subscription is active by then. Whether a later payment has come,
 * its status tells. */
static int is_unpaid(const json_t *invoice)
{
    return text_is(invoice, "billing_reason", "subscription_create")
           && !text_is(invoice, "status", "paid");
}

apr_status_t gc_stripe_subscription_read(const json_t *object, gc_subscription_t *s)
{
    const json_t *items = json_object_get(json_object_get(object, "items"), "data");
    const json_t *item = json_array_get(items, 0);
    apr_time_t cancel_at = time_of(object, "cancel_at");

    if (!is(object, "subscription")) {
        return GC_EINPUT;
    }
    memset(s, 0, sizeof(*s));
    s->id = gc_stripe_text(object, "id");
    s->customer = gc_stripe_reference(object, "customer");
    s->has_user = read_uuid(json_object_get(object, "metadata"), "user_id", &s->user);
    s->status = gc_stripe_text(object, "status");
    s->price = gc_stripe_reference(item, "price");
    s->created = time_of(object, "created");
    s->period_start = time_of(item, "current_period_start");
    s->period_end = time_of(item, "current_period_end");
    if (!s->period_end) {
        s->period_start = time_of(object, "current_period_start");
        s->period_end = time_of(object, "current_period_end");
    }
    /* The portal says it by cancel_at where billing is flexible. */
    s->cancels = json_is_true(json_object_get(object, "cancel_at_period_end"))
                 || (cancel_at && cancel_at <= s->period_end);
    s->is_unpaid = is_unpaid(json_object_get(object, "latest_invoice"));
    s->is_live = json_is_true(json_object_get(object, "livemode"));
    return s->customer && s->status ? APR_SUCCESS : GC_EINPUT;
}

apr_status_t gc_stripe_checkout_read(const json_t *object, gc_checkout_t *checkout)
{
    if (!is(object, "checkout.session")) {
        return GC_EINPUT;
    }
    memset(checkout, 0, sizeof(*checkout));
    checkout->session = gc_stripe_text(object, "id");
    checkout->url = gc_stripe_text(object, "url");
    checkout->customer = gc_stripe_reference(object, "customer");
    checkout->subscription = gc_stripe_reference(object, "subscription");
    checkout->status = gc_stripe_text(object, "status");
    checkout->payment_status = gc_stripe_text(object, "payment_status");
    checkout->has_attempt =
        read_uuid(json_object_get(object, "metadata"), "checkout_id", &checkout->attempt);
    checkout->is_live = json_is_true(json_object_get(object, "livemode"));
    return checkout->status ? APR_SUCCESS : GC_EINPUT;
}

static const char *refund_status(const json_t *charge)
{
    return json_is_true(json_object_get(charge, "refunded"))                    ? "refunded"
           : json_integer_value(json_object_get(charge, "amount_refunded")) > 0 ? "partial"
                                                                                : "none";
}

apr_status_t gc_stripe_reversal_read(const json_t *object, gc_reversal_t *reversal)
{
    int is_dispute = is(object, "dispute");
    const json_t *charge = is_dispute ? json_object_get(object, "charge") : object;

    if (!is(charge, "charge")) {
        return GC_EINPUT;
    }
    memset(reversal, 0, sizeof(*reversal));
    reversal->id = gc_stripe_text(object, "id");
    reversal->customer = gc_stripe_reference(charge, "customer");
    reversal->status = is_dispute ? gc_stripe_text(object, "status") : refund_status(charge);
    reversal->is_dispute = is_dispute;
    reversal->is_live = json_is_true(json_object_get(object, "livemode"));
    return reversal->customer && reversal->status ? APR_SUCCESS : GC_EINPUT;
}
