/* SPDX-License-Identifier: Apache-2.0
 * Sign-up, and sign-in by one-time codes.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "core/phone.h"
#include "core/rfc3339.h"
#include "handlers.h"
#include "store/otp.h"
#include "store/user.h"

static const char *const purposes[] = {"login", "reset_password", NULL};

/* A token to set a new password with is good for so long. */
#define RESET_LIFETIME apr_time_from_sec(600)

static const char *check_number(apr_pool_t *pool, const char *number)
{
    const char *e164;

    return gc_phone_e164(pool, number, "+1", &e164) == APR_SUCCESS
               ? NULL
               : "It must be a phone number: + and 7 to 15 digits, or a national number.";
}

#define MOBILE_NUMBER                                                                              \
    {                                                                                              \
        "mobile_number", GC_RULE_REQUIRED, 1, 32, NULL, check_number                               \
    }

const gc_rule_t gc_rules_signup[] = {
    MOBILE_NUMBER, {"name", GC_RULE_NULLABLE, 1, 100, NULL, NULL}, {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_send_otp[] = {MOBILE_NUMBER,
                                       {"purpose", GC_RULE_REQUIRED, 1, 0, purposes, NULL},
                                       {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_verify_otp[] = {MOBILE_NUMBER,
                                         {"otp", GC_RULE_REQUIRED, 1, 16, NULL, NULL},
                                         {"purpose", GC_RULE_REQUIRED, 1, 0, purposes, NULL},
                                         {NULL, 0, 0, 0, NULL, NULL}};

/* The body's number in E.164. With a long country code it may have too many digits. */
static apr_status_t read_number(gc_request_t *q, const char **e164)
{
    return gc_phone_e164(q->pool, gc_request_text(q, "mobile_number"),
                         q->service->config->country_code, e164);
}

static int refuse_number(gc_request_t *q)
{
    return gc_answer_broken_rule(q, "/mobile_number",
                                 "It is no phone number with this country's code in front.");
}

int gc_handle_signup(gc_request_t *q)
{
    const char *number = gc_request_text(q, "mobile_number"), *name = gc_request_text(q, "name");
    const char *e164;
    gc_uuid_t id;
    apr_status_t rv;

    if (read_number(q, &e164) != APR_SUCCESS) {
        return refuse_number(q);
    }
    rv = gc_user_create(q->service->db, q->pool, e164, number, name, &id);
    if (rv == GC_EEXIST) {
        return gc_answer_error(q, HTTP_CONFLICT, "This mobile number has an account already.");
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return gc_answer_json(q, HTTP_CREATED,
                          json_pack("{s:s, s:{s:s, s:s, s:s?}}", "message", "Account created.",
                                    "user", "id", gc_uuid_text(q->pool, &id), "mobile_number",
                                    number, "name", name));
}

/* The code goes where GemcloneOTPLog says, and nowhere else: never into ErrorLog. */
static void deliver(gc_request_t *q, const char *e164, const char *purpose, const char *code)
{
    apr_file_t *file = q->service->config->otp_log_file;

    gc_log(&q->service->log, GEM0101, "a one-time code (%s) for %s", purpose,
           gc_phone_masked(q->pool, e164));
    if (file) {
        const char *line = apr_psprintf(
            q->pool, "%s %s %s %s\n", gc_rfc3339(q->pool, q->r->request_time), e164, purpose, code);
        apr_size_t len = strlen(line);

        (void)apr_file_write(file, line, &len);
    }
}

/* Unknown numbers take the same way, but for the delivery at its end. */
int gc_handle_send_otp(gc_request_t *q)
{
    const gc_config_t *config = q->service->config;
    const char *purpose = gc_request_text(q, "purpose"), *e164;
    const char *code = gc_code_new(q->pool, (int)config->otp_length);
    gc_hash_t hash;
    apr_status_t rv;
    int known;

    if (read_number(q, &e164) != APR_SUCCESS) {
        return refuse_number(q);
    }
    gc_code_hash(&q->service->otp_key, e164, purpose, code, &hash);
    rv = gc_otp_issue(q->service->db, q->pool, e164, purpose, &hash, config->otp_lifetime, &known);
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    if (known) {
        deliver(q, e164, purpose, code);
    } else if (config->otp_reveal) {
        return gc_answer_error(q, HTTP_NOT_FOUND, "No account has this mobile number.");
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:s*}", "message",
                                    "If the number has an account, a code is on its way to it.",
                                    "otp", config->otp_reveal ? code : NULL));
}

static int refuse_code(gc_request_t *q, const char *e164)
{
    gc_log(&q->service->log, GEM0102, "a one-time code for %s was refused",
           gc_phone_masked(q->pool, e164));
    return gc_answer_error(q, HTTP_BAD_REQUEST, "The code is wrong, or not good any more.");
}

int gc_handle_verify_otp(gc_request_t *q)
{
    const gc_config_t *config = q->service->config;
    int is_login = strcmp(gc_request_text(q, "purpose"), "login") == 0;
    gc_token_t token = {.scope = is_login ? GC_TOKEN_ACCESS : GC_TOKEN_RESET};
    apr_interval_time_t lifetime = is_login ? config->token_lifetime : RESET_LIFETIME;
    gc_hash_t hash, refresh_hash;
    const char *refresh = is_login ? gc_code_refresh_new(q->pool, &refresh_hash) : NULL;
    const char *e164, *access;
    gc_otp_try_t attempt = {.purpose = gc_request_text(q, "purpose"),
                            .code = &hash,
                            .refresh = refresh ? &refresh_hash : NULL,
                            .tries = (int)config->otp_tries,
                            .window = config->otp_window};
    apr_status_t rv;

    if (read_number(q, &e164) != APR_SUCCESS) {
        return refuse_number(q);
    }
    attempt.e164 = e164;
    gc_code_hash(&q->service->otp_key, e164, attempt.purpose, gc_request_text(q, "otp"), &hash);
    rv = gc_otp_verify(q->service->db, q->pool, &attempt, &token.session, &token.user);
    if (rv == GC_ENOENT) {
        return refuse_code(q, e164);
    }
    token.issued = q->r->request_time;
    token.expires = token.issued + lifetime;
    if (rv == APR_SUCCESS) {
        rv = gc_token_sign(q->pool, &q->service->ring, &token, &access);
    }
    if (rv != APR_SUCCESS) {
        return gc_answer_failure(q, rv);
    }
    return gc_answer_json(q, HTTP_OK,
                          json_pack("{s:s, s:s, s:s, s:I, s:s*}", "message", "Signed in.",
                                    "access_token", access, "token_type", "bearer", "expires_in",
                                    (json_int_t)apr_time_sec(lifetime), "refresh_token", refresh));
}
