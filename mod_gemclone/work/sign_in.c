/* SPDX-License-Identifier: Apache-2.0
 * Signing in where it takes its time.
 *
 *   password   the loop: a turn is taken ─▶ a thread: counted, hashed, stored ─▶ the loop: done
 *   gateway    the loop: it is asked ─▶ a thread: the session is opened ─▶ the loop: done
 */
#include "sign_in.h"

#include <apr_strings.h>
#include <sodium.h>
#include <string.h>

typedef struct {
    gc_sign_in_t sign_in; /* first, so that one is the other */
    gc_password_place_t place;
    gc_turn_t turn;
    char *password, *current; /* wiped when they were used */
    const char *e164;
    gc_limit_uses_t uses;
    gc_session_new_t session;
    gc_password_change_t change;
    /* Of a gateway: */
    gc_courier_t *courier;
    gc_otp_try_t attempt;
    gc_http_request_t request;
} work_t;

static apr_pool_t *pool_of(const work_t *w)
{
    return w->sign_in.errand.pool;
}

static work_t *make(void (*begin)(gc_errand_t *errand))
{
    apr_pool_t *pool = gc_companion_pool();
    work_t *w = apr_pcalloc(pool, sizeof(*w));

    w->sign_in.errand = (gc_errand_t){.pool = pool, .begin = begin};
    w->sign_in.outcome = GC_EUNAVAILABLE;
    return w;
}

/* The request may be gone by the time they are used. */
static void copy_uses(apr_pool_t *pool, gc_limit_uses_t *to, const gc_limit_uses_t *from)
{
    int i;

    *to = *from;
    for (i = 0; i < to->count; i++) {
        to->uses[i].subject = apr_pstrdup(pool, from->uses[i].subject);
    }
}

static void copy_session(apr_pool_t *pool, gc_session_new_t *to, const gc_session_new_t *from)
{
    *to = *from;
    to->refresh = from->refresh ? apr_pmemdup(pool, from->refresh, sizeof(*from->refresh)) : NULL;
    to->client = apr_pstrdup(pool, from->client);
}

static void wipe(char *text)
{
    if (text) {
        sodium_memzero(text, strlen(text));
    }
}

/* --- Passwords, on a thread ------------------------------------------------- */

static apr_status_t log_in(work_t *w)
{
    gc_account_t account;
    const char *better = NULL;
    apr_status_t rv = gc_password_try(w->place.db, pool_of(w), NULL, w->e164, &w->uses, &account,
                                      &w->sign_in.refusal);

    if (rv != APR_SUCCESS || w->sign_in.refusal.is_refused) {
        return rv != APR_SUCCESS ? rv : GC_ENOENT;
    }
    if (!gc_password_is(&w->place.cost, account.hash, w->password)) {
        return GC_ENOENT;
    }
    if (gc_password_is_outdated(&w->place.cost, account.hash)
        && gc_password_hash(pool_of(w), &w->place.cost, w->password, &better) != APR_SUCCESS) {
        better = NULL; /* another time */
    }
    w->sign_in.user = account.user;
    return gc_password_accept(w->place.db, pool_of(w), &account, better, &w->uses, &w->session);
}

/* GC_ENOENT: the current password is wrong. */
static apr_status_t check_current(work_t *w)
{
    gc_account_t account;
    apr_status_t rv = gc_password_try(w->place.db, pool_of(w), &w->change.user, NULL,
                                      &w->change.uses, &account, &w->sign_in.refusal);

    if (rv != APR_SUCCESS || w->sign_in.refusal.is_refused) {
        return rv != APR_SUCCESS ? rv : GC_ENOENT;
    }
    w->change.old = account.hash;
    if (!account.hash) {
        return APR_SUCCESS; /* none was set: there is none to be shown */
    }
    return w->current && gc_password_is(&w->place.cost, account.hash, w->current) ? APR_SUCCESS
                                                                                  : GC_ENOENT;
}

static apr_status_t change_password(work_t *w)
{
    apr_status_t rv = w->change.resets ? APR_SUCCESS : check_current(w);

    if (rv == APR_SUCCESS) {
        rv = gc_password_hash(pool_of(w), &w->place.cost, w->password, &w->change.hash);
    }
    if (rv == APR_SUCCESS) {
        rv = gc_password_set(w->place.db, pool_of(w), &w->change);
        rv = rv == GC_ENOENT ? GC_EGONE : rv;
    }
    return rv;
}

static void password_turn(void *baton)
{
    work_t *w = baton;

    w->sign_in.outcome = w->e164 ? log_in(w) : change_password(w);
    wipe(w->password);
    wipe(w->current);
}

static void turn_done(void *baton)
{
    work_t *w = baton;

    gc_loop_errand_end(&w->sign_in.errand);
}

static void begin_turn(gc_errand_t *errand)
{
    work_t *w = (work_t *)errand;

    w->turn = (gc_turn_t){.call = password_turn, .done = turn_done, .baton = w};
    if (!gc_loop_hashing_take(w->place.hashing, &w->turn)) {
        w->sign_in.is_busy = 1;
        gc_loop_errand_end(errand);
    }
}

gc_sign_in_t *gc_sign_in_by_password(const gc_password_place_t *place, const char *e164,
                                     const char *password, const gc_limit_uses_t *uses,
                                     const gc_session_new_t *session)
{
    work_t *w = make(begin_turn);

    w->place = *place;
    w->e164 = apr_pstrdup(pool_of(w), e164);
    w->password = apr_pstrdup(pool_of(w), password);
    copy_uses(pool_of(w), &w->uses, uses);
    copy_session(pool_of(w), &w->session, session);
    return &w->sign_in;
}

gc_sign_in_t *gc_sign_in_change_password(const gc_password_place_t *place,
                                         const gc_password_change_t *change, const char *current,
                                         const char *password)
{
    work_t *w = make(begin_turn);

    w->place = *place;
    w->change = *change;
    w->current = apr_pstrdup(pool_of(w), current);
    w->password = apr_pstrdup(pool_of(w), password);
    copy_uses(pool_of(w), &w->change.uses, &change->uses);
    return &w->sign_in;
}

/* --- The gateway ------------------------------------------------------------ */

static void confirm_task(void *baton)
{
    work_t *w = baton;
    const gc_courier_options_t *o = gc_courier_options(w->courier);

    w->sign_in.outcome = gc_otp_confirm(o->db, pool_of(w), &w->attempt, &w->sign_in.user);
    gc_errand_end(&w->sign_in.errand, gc_companion_loop(o->companion));
}

static void answered(void *baton, const gc_http_result_t *result, const gc_membuf_t *body)
{
    work_t *w = baton;
    const gc_courier_options_t *o = gc_courier_options(w->courier);
    gc_sms_answer_t answer = {.verdict = GC_SMS_UNKNOWN, .code = "stopped"};

    if (result) {
        gc_sms_answer_asked(pool_of(w), result, body, &answer);
    }
    if (answer.verdict == GC_SMS_DONE) {
        gc_companion_push(o->companion, confirm_task, w);
        return;
    }
    if (answer.verdict == GC_SMS_WRONG) {
        w->sign_in.outcome = GC_ENOENT;
    } else {
        w->sign_in.is_away = 1;
        gc_log(o->log, GEM0107, "the SMS gateway could not be asked about a code: %s (status %d)",
               answer.code, answer.http_status);
    }
    gc_loop_errand_end(&w->sign_in.errand);
}

static void begin_asking(gc_errand_t *errand)
{
    work_t *w = (work_t *)errand;

    gc_loop_courier_call(w->courier, pool_of(w), &w->request, answered, w);
}

gc_sign_in_t *gc_sign_in_by_gateway(gc_courier_t *courier, const gc_otp_try_t *attempt,
                                    const char *code)
{
    work_t *w = make(begin_asking);

    w->courier = courier;
    w->attempt = *attempt;
    w->attempt.e164 = apr_pstrdup(pool_of(w), attempt->e164);
    w->attempt.purpose = apr_pstrdup(pool_of(w), attempt->purpose);
    copy_uses(pool_of(w), &w->attempt.uses, &attempt->uses);
    copy_session(pool_of(w), &w->attempt.session, &attempt->session);
    gc_sms_ask(&w->request, pool_of(w), gc_courier_options(courier)->sms, w->attempt.e164,
               apr_pstrdup(pool_of(w), code));
    return &w->sign_in;
}
