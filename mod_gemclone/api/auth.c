/* SPDX-License-Identifier: Apache-2.0
 * Sign-up, and sign-in by one-time codes.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "core/phone.h"
#include "handlers.h"
#include "sign_in.h"
#include "store/otp.h"
#include "store/user.h"

static const char *const purposes[] = {"login", "reset_password", NULL};

const gc_rule_t gc_rules_signup[] = {GC_RULE_MOBILE_NUMBER,
                                     {"name", GC_RULE_NULLABLE, 1, 100, NULL, NULL},
                                     {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_send_otp[] = {GC_RULE_MOBILE_NUMBER,
                                       {"purpose", GC_RULE_REQUIRED, 1, 0, purposes, NULL},
                                       {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_forgot_password[] = {GC_RULE_MOBILE_NUMBER, {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_verify_otp[] = {GC_RULE_MOBILE_NUMBER,
                                         {"otp", GC_RULE_REQUIRED, 1, 16, NULL, NULL},
                                         {"purpose", GC_RULE_REQUIRED, 1, 0, purposes, NULL},
                                         {NULL, 0, 0, 0, NULL, NULL}};

/* Of numbers that no code would be sent to, there are no accounts either. */
static int refuse_country(gc_request_t *q)
{
    return gc_answer_broken_rule(q, "/mobile_number",
                                 "Numbers of this country are not served here.");
}

int gc_handle_signup(gc_request_t *q)
{
    gc_signup_t signup = {.mobile_number = gc_request_text(q, "mobile_number"),
                          .name = gc_request_text(q, "name")};
    gc_refusal_t refusal = {0};
    gc_key_t key;
    gc_uuid_t id;
    apr_status_t rv;

    if (gc_request_key(q, &key) != APR_SUCCESS) {
        return gc_answer_bad_key(q);
    }
    if (gc_request_number(q, &signup.e164) != APR_SUCCESS) {
        return gc_answer_bad_number(q);
    }
    if (!gc_config_is_served(q->service->config, signup.e164)) {
        return refuse_country(q);
    }
    signup.key = &key;
    gc_request_use(q, &signup.uses, GC_LIMIT_SIGNUP_ADDRESS, gc_request_address(q));
    rv = gc_user_create(q->service->db, q->pool, &signup, &id, &refusal);
    if (refusal.is_refused) {
        return gc_answer_limited(q, &refusal);
    }
    if (rv == GC_EEXIST) {
        return gc_answer_error(q, HTTP_CONFLICT, "This mobile number has an account already.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    gc_metrics_count(q->service->metrics, GC_COUNT_SIGNUPS);
    return gc_answer_json(q, HTTP_CREATED,
                          json_pack("{s:s, s:{s:s, s:s, s:s?}}", "message", "Account created.",
                                    "user", "id", gc_uuid_text(q->pool, &id), "mobile_number",
                                    signup.mobile_number, "name", signup.name));
}

/* --- Codes -------------------------------------------------------------------- */

static void poke_courier(const gc_request_t *q)
{
    gc_courier_t *courier = __atomic_load_n(&q->service->courier, __ATOMIC_ACQUIRE);

    if (courier) {
        gc_courier_poke(courier);
    }
}

/* Whether only the gateway knows a number's codes. */
static int is_gateways(const gc_request_t *q, const char *test_code)
{
    return !test_code && q->service->sms && q->service->sms->kind == GC_SMS_VERIFY;
}

/* Who has it delivered, and what of the code is stored. */
static void fill_in(gc_request_t *q, const char *code, const char *test_code, gc_hash_t *hash,
                    gc_otp_t *otp)
{
    const gc_service_t *s = q->service;

    otp->lifetime = s->config->otp_lifetime;
    otp->budget = -1;
    if (!is_gateways(q, test_code)) {
        gc_code_hash(&s->otp_key, otp->e164, otp->purpose, code, hash);
        otp->hash = hash;
    }
    if (s->delivers && !test_code) {
        otp->site = s->config->site;
        otp->budget = gc_config_limit(s->config, GC_LIMIT_OTP_BUDGET).most;
        otp->sealed =
            otp->hash ? gc_code_seal(q->pool, &s->delivery_key, code, &otp->sealed_len) : NULL;
    }
}

static void use_send_limits(const gc_request_t *q, gc_limit_uses_t *uses, const char *e164)
{
    gc_request_use(q, uses, GC_LIMIT_OTP_ADDRESS, gc_request_address(q));
    gc_request_use(q, uses, GC_LIMIT_OTP_NUMBER, e164);
    gc_request_use(q, uses, GC_LIMIT_OTP_COOLDOWN, e164);
}

/* Unknown numbers take the same way, up to the courier, who drops theirs. */
static int send_code(gc_request_t *q, const char *purpose)
{
    const gc_config_t *config = q->service->config;
    gc_otp_t otp = {.purpose = purpose};
    gc_limit_uses_t uses = {0};
    gc_refusal_t refusal;
    const char *code, *test_code;
    gc_hash_t hash;
    apr_status_t rv;
    int known;

    if (gc_request_number(q, &otp.e164) != APR_SUCCESS) {
        return gc_answer_bad_number(q);
    }
    if (!gc_config_is_served(config, otp.e164)) {
        return refuse_country(q);
    }
    test_code = gc_config_test_code(config, otp.e164, q->r->request_time);
    code = test_code ? test_code : gc_code_new(q->pool, (int)config->otp_length);
    fill_in(q, code, test_code, &hash, &otp);
    if (!test_code) {
        use_send_limits(q, &uses, otp.e164);
    }
    rv = gc_otp_issue(q->service->db, q->pool, &otp, &uses, &known, &refusal);
    if (rv != APR_SUCCESS || refusal.is_refused) {
        return rv != APR_SUCCESS ? gc_answer_failure(q, rv) : gc_answer_limited(q, &refusal);
    }
    poke_courier(q);
    gc_log(&q->service->log, GEM0101, "a one-time code (%s) for %s", purpose,
           gc_phone_masked(q->pool, otp.e164));
    if (!known && config->otp_reveal) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "No account has this mobile number.");
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:s*}", "message",
                                    "If the number has an account, a code is on its way to it.",
                                    "otp", config->otp_reveal ? code : NULL));
}

int gc_handle_send_otp(gc_request_t *q)
{
    return send_code(q, gc_request_text(q, "purpose"));
}

int gc_handle_forgot_password(gc_request_t *q)
{
    return send_code(q, "reset_password");
}

/* One answer for all that is wrong with a code, and for too many tries at a number's. */
static int refuse_code(gc_request_t *q, const gc_refusal_t *refusal)
{
    if (refusal->is_refused && refusal->kind != GC_LIMIT_OTP_TRY) {
        return gc_answer_limited(q, refusal);
    }
    gc_count_limited(q, refusal);
    gc_metrics_count(q->service->metrics, GC_COUNT_REFUSED_OTP);
    gc_log(&q->service->log, GEM0102, "a one-time code was refused%s",
           refusal->is_refused ? ": too many tries" : "");
    return gc_answer_error(q, HTTP_BAD_REQUEST, "The code is wrong, or not good any more.");
}

static int answer_asked(gc_request_t *q, gc_entry_t *entry, const gc_sign_in_t *sign_in)
{
    if (sign_in->outcome == APR_SUCCESS) {
        return gc_entry_answer(q, entry, &sign_in->user);
    }
    if (sign_in->is_away) {
        apr_table_setn(q->r->headers_out, "Retry-After", "5");
        return gc_answer_error(q, HTTP_SERVICE_UNAVAILABLE,
                               "The code cannot be checked at the moment. Please try again.");
    }
    return sign_in->outcome == GC_ENOENT ? refuse_code(q, &sign_in->refusal)
                                         : gc_answer_failure(q, sign_in->outcome);
}

/* Longer than any code of Verify's: it is right for nobody. */
#define NO_CODE "0000000000"

/* The try is counted first; then the gateway is asked, whether or not there is a code for this
 * purpose: the time that it takes is not to tell. What is right would be used up by being asked
 * for, so the code itself is shown only where that is meant. */
static int ask_gateway(gc_request_t *q, gc_otp_try_t *attempt, gc_entry_t *entry)
{
    gc_courier_t *courier = __atomic_load_n(&q->service->courier, __ATOMIC_ACQUIRE);
    gc_refusal_t refusal;
    apr_status_t rv;
    int is_open;

    if (!courier) {
        return gc_answer_crowded(q, GC_SIGN_IN_RETRY);
    }
    rv = gc_otp_ask(q->service->db, q->pool, attempt, &is_open, &refusal);
    if (rv != APR_SUCCESS || refusal.is_refused) {
        return rv != APR_SUCCESS ? gc_answer_failure(q, rv) : refuse_code(q, &refusal);
    }
    return gc_request_sign_in(
        q, entry,
        gc_sign_in_by_gateway(courier, attempt, is_open ? gc_request_text(q, "otp") : NO_CODE),
        answer_asked);
}

int gc_handle_verify_otp(gc_request_t *q)
{
    const char *purpose = gc_request_text(q, "purpose"), *test_code;
    gc_entry_t *entry =
        gc_entry_make(q, strcmp(purpose, "login") == 0 ? GC_TOKEN_ACCESS : GC_TOKEN_RESET);
    gc_otp_try_t attempt = {.purpose = purpose, .session = entry->session};
    gc_refusal_t refusal = {0};
    gc_uuid_t user;
    gc_hash_t hash;
    apr_status_t rv;

    if (gc_request_number(q, &attempt.e164) != APR_SUCCESS) {
        return gc_answer_bad_number(q);
    }
    gc_request_use(q, &attempt.uses, GC_LIMIT_SIGN_IN_ADDRESS, gc_request_address(q));
    gc_request_use(q, &attempt.uses, GC_LIMIT_OTP_TRY, attempt.e164);
    test_code = gc_config_test_code(q->service->config, attempt.e164, q->r->request_time);
    if (is_gateways(q, test_code)) {
        return ask_gateway(q, &attempt, entry);
    }
    gc_code_hash(&q->service->otp_key, attempt.e164, purpose, gc_request_text(q, "otp"), &hash);
    attempt.code = &hash;
    rv = gc_otp_verify(q->service->db, q->pool, &attempt, &user, &refusal);
    if (rv == GC_ENOENT) {
        return refuse_code(q, &refusal);
    }
    return rv == APR_SUCCESS ? gc_entry_answer(q, entry, &user) : gc_answer_failure(q, rv);
}
