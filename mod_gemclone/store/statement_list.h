/* SPDX-License-Identifier: Apache-2.0
 * Every SQL statement: READ(name, text) or WRITE(name, text). What only reads may be tried again
 * when nobody knows whether it was carried out. One round trip each, and each bound to
 * the user it is for. Functions of the schema `gemclone` stand in sql/deploy/.
 */
/* clang-format off */

READ(READY, "SELECT 1 FROM gemclone.users, gemclone.jobs, gemclone.idempotency WHERE false")

/* user.c */
WRITE(USER_CREATE, "SELECT outcome, id, refused, ends FROM gemclone.user_create($1, $2, $3, $4, $5, $6, $7, $8, $9)")
READ(USER_GET,
  "SELECT mobile_number, name, gemclone.tier_of(tier, paid_until), created_at FROM gemclone.users WHERE id = $1")
READ(USER_FIND,
  "SELECT mobile_number, name, gemclone.tier_of(tier, paid_until), created_at, id FROM gemclone.users WHERE e164 = $1")
WRITE(USER_CHANGE,
  "UPDATE gemclone.users SET name = CASE WHEN $2 THEN $3 ELSE name END WHERE id = $1 "
  "RETURNING mobile_number, name, gemclone.tier_of(tier, paid_until), created_at")
READ(USAGE_GET,
  "SELECT gemclone.tier_of(u.tier, u.paid_until), (t.now::date + 1)::timestamp AT TIME ZONE 'UTC', "
  "sum(g.prompts) FILTER (WHERE g.day = t.now::date), "
  "(sum(g.input_tokens) FILTER (WHERE g.day = t.now::date))::bigint, "
  "(sum(g.output_tokens) FILTER (WHERE g.day = t.now::date))::bigint, "
  "sum(g.prompts), sum(g.input_tokens)::bigint, sum(g.output_tokens)::bigint "
  "FROM gemclone.users u CROSS JOIN (SELECT now() AT TIME ZONE 'UTC' AS now) t "
  "LEFT JOIN gemclone.usage g ON g.user_id = u.id AND g.day >= date_trunc('month', t.now)::date "
  "WHERE u.id = $1 GROUP BY u.id, t.now")
READ(USAGE_DAYS,
  "SELECT to_char(day, 'YYYY-MM-DD'), prompts, input_tokens, output_tokens FROM gemclone.usage "
  "WHERE user_id = $1 ORDER BY day")
WRITE(USER_DELETE,
  "WITH owed AS (SELECT room_id, reply_id FROM gemclone.jobs WHERE user_id = $1), "
  "gone AS (DELETE FROM gemclone.users WHERE id = $1 RETURNING id) "
  "SELECT o.room_id, o.reply_id FROM gone LEFT JOIN owed o ON true")

/* otp.c */
WRITE(OTP_ISSUE,
  "SELECT known, refused, ends FROM gemclone.otp_issue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
WRITE(OTP_VERIFY,
  "SELECT user_id, refused, ends FROM gemclone.otp_verify("
  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
WRITE(OTP_ASK, "SELECT is_open, refused, ends FROM gemclone.otp_ask($1, $2, $3, $4, $5, $6)")
WRITE(OTP_CONFIRM,
  "SELECT user_id FROM gemclone.otp_confirm($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")

/* delivery.c */
WRITE(DELIVERIES_CLAIM,
  "SELECT id, e164, purpose, sealed, fence, tries, expires_at, spent "
  "FROM gemclone.deliveries_claim($1, $2, $3, $4, $5)")
WRITE(DELIVERY_END, "DELETE FROM gemclone.deliveries WHERE id = $1 AND fence = $2")
WRITE(DELIVERY_PUT_OFF,
  "UPDATE gemclone.deliveries SET due_at = now() + $3, fence = fence + 1, is_out = false "
  "WHERE id = $1 AND fence = $2")

/* password.c */
WRITE(PASSWORD_TRY,
  "SELECT user_id, e164, password_hash, refused, ends FROM gemclone.password_try($1, $2, $3, $4, $5, $6)")
WRITE(PASSWORD_ACCEPT,
  "SELECT user_id FROM gemclone.password_accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
WRITE(PASSWORD_SET, "SELECT gemclone.password_set($1, $2, $3, $4, $5, $6, $7)")

/* session.c */
WRITE(SESSION_REFRESH,
  "SELECT outcome, user_id, granted FROM gemclone.session_refresh($1, $2, $3, $4, $5, $6, $7)")
READ(SESSION_LIST,
  "SELECT id, created_at, used_at, expires_at, client FROM gemclone.sessions "
  "WHERE user_id = $1 AND purpose = 'login' AND expires_at > now() ORDER BY used_at DESC, id")
WRITE(SESSION_END, "DELETE FROM gemclone.sessions WHERE user_id = $1 AND id = $2")
WRITE(SESSIONS_END, "DELETE FROM gemclone.sessions WHERE user_id = $1")
READ(SESSIONS_ENDED,
  "SELECT id, until FROM gemclone.sessions_ended WHERE ended_at > now() - $1::interval AND until > now()")

/* chatroom.c */
WRITE(CHATROOM_CREATE,
  "SELECT outcome, id, created_at FROM gemclone.chatroom_create($1, $2, $3, $4, $5, $6)")
READ(CHATROOM_GET,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE id = $2 AND user_id = $1")
READ(CHATROOM_LIST,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 ORDER BY created_at DESC, id DESC")
READ(CHATROOM_PAGE,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2")
READ(CHATROOM_PAGE_AFTER,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 AND (created_at, id) < ($3::timestamptz, $4) "
  "ORDER BY created_at DESC, id DESC LIMIT $2")
WRITE(CHATROOM_CHANGE,
  "UPDATE gemclone.chatrooms SET title = CASE WHEN $3 THEN $4 ELSE title END, "
  "system_prompt = CASE WHEN $5 THEN $6 ELSE system_prompt END, "
  "model = CASE WHEN $7 THEN $8 ELSE model END "
  "WHERE id = $2 AND user_id = $1 RETURNING id, title, system_prompt, model, created_at")
WRITE(CHATROOM_DELETE,
  "WITH owed AS (SELECT room_id, reply_id FROM gemclone.jobs WHERE room_id = $2), "
  "gone AS (DELETE FROM gemclone.chatrooms WHERE id = $2 AND user_id = $1 RETURNING id) "
  "SELECT o.room_id, o.reply_id FROM gone LEFT JOIN owed o ON true")

/* sender.c; message.c: every reader starts at the room and its owner; a room without
 * messages gives one row of NULLs, a room that is not the user's gives none. */
#define GC_SQL_MESSAGE \
  "SELECT m.id, m.sender, m.content, " \
  "CASE WHEN m.status = 'pending' AND EXISTS (SELECT FROM gemclone.jobs j " \
  "WHERE j.room_id = m.room_id AND j.reply_id = m.id AND j.worker IS NOT NULL AND j.due_at > now()) THEN 'generating' ELSE m.status END, " \
  "m.parent_id, m.error, m.error_detail, m.finish_reason, m.model, m.tokens, m.prompt_tokens, " \
  "m.cached_tokens, m.thought_tokens, m.created_at, m.finished_at, m.fence, m.superseded "
WRITE(MESSAGES_SEND,
  "SELECT n, outcome, message_id, reply_id, sent_at, prompts_used, prompts_limit "
  "FROM gemclone.messages_send($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
READ(MESSAGE_LIST,
  GC_SQL_MESSAGE
  "FROM gemclone.chatrooms r LEFT JOIN gemclone.messages m ON m.room_id = r.id AND NOT m.superseded "
  "WHERE r.id = $2 AND r.user_id = $1 ORDER BY m.id")
READ(MESSAGE_PAGE,
  GC_SQL_MESSAGE
  "FROM gemclone.chatrooms r LEFT JOIN LATERAL (SELECT * FROM gemclone.messages a "
  "WHERE a.room_id = r.id AND a.id > $4 AND NOT a.superseded ORDER BY a.id LIMIT $3) m ON true "
  "WHERE r.id = $2 AND r.user_id = $1 ORDER BY m.id")
READ(MESSAGE_GET,
  GC_SQL_MESSAGE
  "FROM gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id "
  "WHERE m.room_id = $2 AND m.id = $3 AND r.user_id = $1")
READ(MESSAGE_VERSIONS,
  GC_SQL_MESSAGE
  "FROM gemclone.chatrooms r LEFT JOIN LATERAL (SELECT * FROM (SELECT a.*, "
  "sum(octet_length(a.content)) OVER (ORDER BY a.id) - octet_length(a.content) AS bytes_before "
  "FROM gemclone.messages a WHERE a.room_id = r.id AND a.id > $4 ORDER BY a.id LIMIT $3) p "
  "WHERE p.bytes_before < $5) m ON true "
  "WHERE r.id = $2 AND r.user_id = $1 ORDER BY m.id")
READ(REPLIES_ENDED,
  GC_SQL_MESSAGE
  ", w.n FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS w (user_id, room_id, id, n) "
  "LEFT JOIN (gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id) "
  "ON m.room_id = w.room_id AND m.id = w.id AND r.user_id = w.user_id "
  "WHERE m.status IS DISTINCT FROM 'pending'")
#undef GC_SQL_MESSAGE
WRITE(REPLY_CANCEL, "SELECT outcome, status, next_due FROM gemclone.reply_cancel($1, $2, $3)")
WRITE(REPLY_REGENERATE,
  "SELECT outcome, prompt_id, reply_id, sent_at, prompts_used, prompts_limit "
  "FROM gemclone.reply_regenerate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")

/* ticket.c */
WRITE(TICKET_ISSUE,
  "INSERT INTO gemclone.tickets (hash, user_id, room_id, reply_id, expires_at) "
  "SELECT $3, r.user_id, m.room_id, m.id, now() + $4 "
  "FROM gemclone.chatrooms r JOIN gemclone.messages m ON m.room_id = r.id AND m.id = $2 "
  "WHERE r.user_id = $1 AND m.sender = 'gemini' RETURNING room_id")
WRITE(TICKET_TAKE,
  "DELETE FROM gemclone.tickets WHERE hash = $1 AND room_id = $2 AND reply_id = $3 "
  "RETURNING user_id, expires_at > now()")

/* job.c */
WRITE(JOB_CLAIM,
  "SELECT reply_id, room_id, user_id, prompt_id, fence, tries, lost, fallback, "
  "(extract(epoch FROM age) * 1000000)::bigint, model, system_prompt, prompt, prompt_tokens, cancelled, "
  "traceparent "
  "FROM gemclone.job_claim($1, $2, $3, $4, $5)")
READ(JOB_HISTORY, "SELECT prompt, reply, tokens FROM gemclone.job_history($1, $2, $3)")
WRITE(JOB_RENEW, "SELECT gemclone.job_renew($1, $2, $3, $4)")
READ(JOB_STOPS, "SELECT reply_id, fence, why FROM gemclone.job_stops($1, $2, $3)")
WRITE(JOB_PUT_OFF, "SELECT gemclone.job_put_off($1, $2, $3, $4, $5, $6, $7, $8)")
WRITE(JOB_FINISH,
  "SELECT outcome, next_due FROM gemclone.job_finish("
  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)")

/* billing.c */
WRITE(STRIPE_EVENT_STORE,
  "INSERT INTO gemclone.stripe_events (id, type, api_version, payload) VALUES ($1, $2, $3, $4) "
  "ON CONFLICT (id) DO NOTHING RETURNING id")
WRITE(STRIPE_EVENTS_CLAIM,
  "SELECT id, type, fence, tries, payload, asked_at FROM gemclone.stripe_events_claim($1, $2, $3)")
READ(STRIPE_EVENTS_COUNT,
  "SELECT waiting, failing FROM gemclone.stripe_events_count()")
WRITE(SUBSCRIPTIONS_DOUBT, "SELECT gemclone.subscriptions_doubt($1)")
WRITE(STRIPE_EVENT_END, "SELECT gemclone.stripe_event_end($1, $2, $3, $4)")
WRITE(SUBSCRIPTION_STORE,
  "SELECT known, changed, user_id FROM gemclone.subscription_store("
  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
WRITE(SUBSCRIPTION_GONE, "SELECT known, changed, user_id FROM gemclone.subscription_gone($1, $2, $3)")
WRITE(CHECKOUT_STORE,
  "SELECT known, changed, user_id FROM gemclone.checkout_store($1, $2, $3, $4, $5, $6, $7, $8, $9)")
WRITE(REVERSAL_STORE,
  "SELECT known, changed, user_id FROM gemclone.reversal_store($1, $2, $3, $4, $5, $6)")
WRITE(CUSTOMER_GONE, "UPDATE gemclone.customers SET gone = true WHERE id = $1 RETURNING id")
WRITE(CHECKOUT_BEGIN,
  "SELECT outcome, id, customer, url, created_at, asked_at FROM gemclone.checkout_begin($1, $2, $3)")
READ(CUSTOMER_GET, "SELECT id FROM gemclone.customers WHERE user_id = $1 AND NOT gone")
READ(BILLING_TIES,
  "SELECT s.id, false FROM gemclone.subscriptions s WHERE s.user_id = $1 "
  "AND s.status IN ('trialing', 'active', 'past_due', 'incomplete', 'unpaid', 'paused') "
  "UNION ALL SELECT o.session, true FROM gemclone.checkouts o WHERE o.user_id = $1 AND o.status = 'open'")
READ(SUBSCRIPTION_GET,
  "SELECT gemclone.tier_of(u.tier, u.paid_until), s.status, s.period_end, s.cancel_at_period_end "
  "FROM gemclone.users u LEFT JOIN LATERAL (SELECT * FROM gemclone.subscriptions o WHERE o.user_id = u.id "
  "ORDER BY o.status IN ('active', 'trialing', 'past_due', 'unpaid', 'paused') DESC, o.created_at DESC LIMIT 1) s "
  "ON true WHERE u.id = $1")

/* admin.c: of a site, or of a user that an admin names. Lists come by pages, after a time and an id. */
READ(SITE_STATUS,
  "SELECT c.owed, c.generating, c.due, (extract(epoch FROM c.oldest) * 1000000)::bigint, "
  "gemclone.failures_count($1), e.waiting, e.failing, now() FROM gemclone.jobs_count($1) c, gemclone.stripe_events_count() e")
READ(SITE_WORKERS,
  "SELECT worker, count(*), min(due_at) FROM gemclone.jobs "
  "WHERE site = $1 AND worker IS NOT NULL GROUP BY worker ORDER BY worker LIMIT 100")
#define GC_SQL_JOB \
  "SELECT j.room_id, j.reply_id, j.user_id, j.created_at, j.tries, j.lost, j.error, j.reason, j.due_at, " \
  "j.worker, j.cancelled, j.place, j.traceparent FROM gemclone.jobs j WHERE j.site = $1 AND (j.place, j.reply_id) > ($3, $4) "
READ(JOBS_RUNNING, GC_SQL_JOB "AND j.worker IS NOT NULL ORDER BY j.place, j.reply_id LIMIT $2")
READ(JOBS_WAITING,
  "(" GC_SQL_JOB "AND j.worker IS NULL AND j.due_at IS NOT NULL ORDER BY j.place, j.reply_id LIMIT $2) UNION ALL "
  "(" GC_SQL_JOB "AND j.due_at IS NULL ORDER BY j.place, j.reply_id LIMIT $2) ORDER BY place, reply_id LIMIT $2")
#undef GC_SQL_JOB
READ(JOBS_FAILED,
  "SELECT f.room_id, f.reply_id, f.user_id, f.created_at, f.tries, f.lost, f.error, f.reason, NULL::timestamptz, "
  "NULL::text, false, f.failed_at, f.traceparent FROM gemclone.failures f "
  "WHERE f.site = $1 AND (f.failed_at, f.reply_id) < ($3, $4) ORDER BY f.failed_at DESC, f.reply_id DESC LIMIT $2")
WRITE(JOB_RETRY, "SELECT outcome, user_id FROM gemclone.job_retry($1, $2, $3)")
WRITE(JOB_DROP, "SELECT outcome, user_id, next_due FROM gemclone.job_drop($1, $2, $3)")
READ(USER_OVERVIEW,
  "SELECT u.tier, u.password_hash IS NOT NULL, "
  "(SELECT count(*) FROM gemclone.chatrooms r WHERE r.user_id = u.id), "
  "(SELECT count(*) FROM gemclone.chatrooms r JOIN gemclone.messages m ON m.room_id = r.id WHERE r.user_id = u.id), "
  "(SELECT count(*) FROM gemclone.jobs j WHERE j.user_id = u.id) "
  "FROM gemclone.users u WHERE u.id = $1")
WRITE(USER_TIER, "UPDATE gemclone.users SET tier = $2 WHERE id = $1 RETURNING id")
#define GC_SQL_EVENT \
  "SELECT e.id, e.type, e.api_version, e.received_at, e.due_at, e.worker, e.tries, e.outcome, e.ended_at, " \
  "md5(e.id)::uuid FROM gemclone.stripe_events e "
READ(STRIPE_EVENTS_OPEN,
  GC_SQL_EVENT "WHERE e.due_at IS NOT NULL AND (e.outcome IS NOT NULL) = $4 "
  "AND (e.received_at, md5(e.id)::uuid) > ($2, $3) ORDER BY e.received_at, md5(e.id)::uuid LIMIT $1")
READ(STRIPE_EVENTS_DONE,
  GC_SQL_EVENT "WHERE e.due_at IS NULL AND (e.ended_at, md5(e.id)::uuid) < ($2, $3) "
  "ORDER BY e.ended_at DESC, md5(e.id)::uuid DESC LIMIT $1")
READ(STRIPE_EVENT_GET, GC_SQL_EVENT "WHERE e.id = $1")
#undef GC_SQL_EVENT
WRITE(STRIPE_EVENT_AGAIN, "SELECT gemclone.stripe_event_again($1)")

/* backlog.c, sweep.c */
READ(JOBS_COUNT,
  "SELECT owed, generating, due, (extract(epoch FROM oldest) * 1000000)::bigint FROM gemclone.jobs_count($1)")
WRITE(SWEEP, "SELECT otps, limits, sessions, keys, tickets, freed, more FROM gemclone.sweep($1)")
/* clang-format on */
