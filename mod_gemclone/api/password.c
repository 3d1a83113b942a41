/* SPDX-License-Identifier: Apache-2.0
 * Signing in with a password, and changing it. The request waits for its turn at hashing as a
 * stream waits, without a thread.
 */
#include <apr_strings.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "sign_in.h"

/* The longest password, in characters; the shortest of a new one is GemclonePasswordMin. */
enum { PASSWORD_MAX = 128 };

const gc_rule_t gc_rules_login[] = {
    GC_RULE_MOBILE_NUMBER,
    {"password", GC_RULE_REQUIRED | GC_RULE_BLANK, 1, PASSWORD_MAX, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL}};

const gc_rule_t gc_rules_change_password[] = {
    {"new_password", GC_RULE_REQUIRED | GC_RULE_BLANK, 1, PASSWORD_MAX, NULL, NULL},
    {"current_password", GC_RULE_NULLABLE | GC_RULE_BLANK, 1, PASSWORD_MAX, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL}};

static int get_place(const gc_request_t *q, gc_password_place_t *place)
{
    const gc_config_t *c = q->service->config;
    gc_hashing_t *hashing = __atomic_load_n(&q->service->hashing, __ATOMIC_ACQUIRE);

    *place = (gc_password_place_t){
        .db = q->service->db,
        .hashing = hashing,
        .cost = {.memory = (apr_size_t)c->password_memory, .passes = (unsigned)c->password_passes}};
    return hashing != NULL;
}

static void use_limits(const gc_request_t *q, gc_limit_uses_t *uses, const char *e164)
{
    gc_request_use(q, uses, GC_LIMIT_SIGN_IN_ADDRESS, gc_request_address(q));
    gc_request_use(q, uses, GC_LIMIT_PASSWORD, e164);
}

/* What is nobody's fault, or an address'. */
static int answer_other(gc_request_t *q, const gc_sign_in_t *sign_in)
{
    if (sign_in->is_busy) {
        return gc_answer_crowded(q, GC_SIGN_IN_RETRY);
    }
    return sign_in->refusal.is_refused ? gc_answer_limited(q, &sign_in->refusal)
                                       : gc_answer_failure(q, sign_in->outcome);
}

/* --- Signing in --------------------------------------------------------------- */

/* One answer for all that is wrong with a number and a password, and for too many tries at them: it
 * tells nothing about the account. */
static int answer_login(gc_request_t *q, gc_entry_t *entry, const gc_sign_in_t *sign_in)
{
    int is_address = sign_in->refusal.is_refused && sign_in->refusal.kind != GC_LIMIT_PASSWORD;

    if (sign_in->outcome == APR_SUCCESS) {
        return gc_entry_answer(q, entry, &sign_in->user);
    }
    if (sign_in->outcome != GC_ENOENT || is_address) {
        return answer_other(q, sign_in);
    }
    gc_count_limited(q, &sign_in->refusal);
    gc_metrics_count(q->service->metrics, GC_COUNT_REFUSED_PASSWORD);
    gc_log(&q->service->log, GEM0108, "a password was refused%s",
           sign_in->refusal.is_refused ? ": too many tries" : "");
    return gc_answer_error(q, HTTP_BAD_REQUEST,
                           "Number and password do not fit, or were tried too often."
                           " A code by /auth/send-otp signs in as well.");
}

int gc_handle_login(gc_request_t *q)
{
    gc_limit_uses_t uses = {0};
    gc_password_place_t place;
    gc_entry_t *entry;
    const char *e164;

    if (gc_request_number(q, &e164) != APR_SUCCESS) {
        return gc_answer_bad_number(q);
    }
    if (!get_place(q, &place)) {
        return gc_answer_crowded(q, GC_SIGN_IN_RETRY);
    }
    use_limits(q, &uses, e164);
    entry = gc_entry_make(q, GC_TOKEN_ACCESS);
    return gc_request_sign_in(q, entry,
                              gc_sign_in_by_password(&place, e164, gc_request_text(q, "password"),
                                                     &uses, &entry->session),
                              answer_login);
}

/* --- Changing it ---------------------------------------------------------------- */

static int answer_change(gc_request_t *q, gc_entry_t *entry, const gc_sign_in_t *sign_in)
{
    (void)entry;
    if (sign_in->outcome == APR_SUCCESS) {
        gc_request_note_ended(q, q->token.scope == GC_TOKEN_RESET ? &q->token.session : NULL);
        return gc_answer_json(
            q, HTTP_OK,
            json_pack("{s:s}", "message", "Password changed. All other sessions have ended."));
    }
    if (sign_in->outcome == GC_EGONE) {
        return gc_answer_error(q, HTTP_UNAUTHORIZED, "This session has ended.");
    }
    if (sign_in->outcome == GC_EEXIST) {
        return gc_answer_error(q, HTTP_CONFLICT, "The password was changed by another request.");
    }
    return sign_in->outcome == GC_ENOENT && !sign_in->refusal.is_refused
               ? gc_answer_broken_rule(q, "/current_password", "It is not the current password.")
               : answer_other(q, sign_in);
}

/* Characters: bytes that do not go on with one. */
static int is_too_short(const gc_request_t *q, const char *password)
{
    apr_int64_t count = 0;

    for (; *password; password++) {
        count += ((unsigned char)*password & 0xc0) != 0x80;
    }
    return count < q->service->config->password_min;
}

int gc_handle_change_password(gc_request_t *q)
{
    gc_password_change_t change = {.user = q->token.user,
                                   .session = q->token.session,
                                   .resets = q->token.scope == GC_TOKEN_RESET};
    const char *password = gc_request_text(q, "new_password"),
               *current = gc_request_text(q, "current_password");
    gc_password_place_t place;

    if (is_too_short(q, password)) {
        return gc_answer_broken_rule(
            q, "/new_password",
            apr_psprintf(q->pool, "It must have at least %" APR_INT64_T_FMT " characters.",
                         q->service->config->password_min));
    }
    if (!get_place(q, &place)) {
        return gc_answer_crowded(q, GC_SIGN_IN_RETRY);
    }
    if (current && !change.resets) {
        use_limits(q, &change.uses, NULL);
    }
    return gc_request_sign_in(
        q, NULL, gc_sign_in_change_password(&place, &change, current, password), answer_change);
}
