/* SPDX-License-Identifier: Apache-2.0
 * Every SQL statement: X(name, text). One round trip each, and each bound to
 * the user it is for. Functions of the schema `gemclone` stand in sql/deploy/.
 */
/* clang-format off */

X(READY, "SELECT 1 FROM gemclone.users, gemclone.jobs, gemclone.idempotency WHERE false")

/* user.c */
X(USER_CREATE,
  "INSERT INTO gemclone.users (e164, mobile_number, name) VALUES ($1, $2, $3) "
  "ON CONFLICT (e164) DO NOTHING RETURNING id")
X(USER_GET,
  "SELECT mobile_number, name, tier, created_at FROM gemclone.users WHERE id = $1")

/* otp.c */
X(OTP_ISSUE,  "SELECT gemclone.otp_issue($1, $2, $3, $4)")
X(OTP_VERIFY, "SELECT session_id, user_id FROM gemclone.otp_verify($1, $2, $3, $4, $5, $6)")

/* chatroom.c */
X(CHATROOM_CREATE,
  "INSERT INTO gemclone.chatrooms (user_id, title, system_prompt, model) VALUES ($1, $2, $3, $4) "
  "RETURNING id, title, system_prompt, model, created_at")
X(CHATROOM_GET,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE id = $2 AND user_id = $1")
X(CHATROOM_LIST,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 ORDER BY created_at DESC, id DESC")
X(CHATROOM_PAGE,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2")
X(CHATROOM_PAGE_AFTER,
  "SELECT id, title, system_prompt, model, created_at FROM gemclone.chatrooms "
  "WHERE user_id = $1 AND (created_at, id) < ($3::timestamptz, $4) "
  "ORDER BY created_at DESC, id DESC LIMIT $2")
X(CHATROOM_CHANGE,
  "UPDATE gemclone.chatrooms SET title = CASE WHEN $3 THEN $4 ELSE title END, "
  "system_prompt = CASE WHEN $5 THEN $6 ELSE system_prompt END, "
  "model = CASE WHEN $7 THEN $8 ELSE model END "
  "WHERE id = $2 AND user_id = $1 RETURNING id, title, system_prompt, model, created_at")
X(CHATROOM_DELETE,
  "DELETE FROM gemclone.chatrooms WHERE id = $2 AND user_id = $1 RETURNING id")

/* sender.c; message.c: every reader starts at the room and its owner; a room without
 * messages gives one row of NULLs, a room that is not the user's gives none. */
#define GC_SQL_MESSAGE \
  "SELECT m.id, m.sender, m.content, " \
  "CASE WHEN m.status = 'pending' AND EXISTS (SELECT FROM gemclone.jobs j " \
  "WHERE j.room_id = m.room_id AND j.reply_id = m.id AND j.worker IS NOT NULL AND j.due_at > now()) THEN 'generating' ELSE m.status END, " \
  "m.parent_id, m.error, m.error_detail, m.finish_reason, m.model, m.tokens, m.prompt_tokens, " \
  "m.cached_tokens, m.thought_tokens, m.created_at, m.finished_at "
X(MESSAGES_SEND,
  "SELECT n, outcome, message_id, reply_id, sent_at, prompts_used, prompts_limit "
  "FROM gemclone.messages_send($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
X(MESSAGE_LIST,
  GC_SQL_MESSAGE
  "FROM gemclone.chatrooms r LEFT JOIN gemclone.messages m ON m.room_id = r.id AND NOT m.superseded "
  "WHERE r.id = $2 AND r.user_id = $1 ORDER BY m.id")
X(MESSAGE_PAGE,
  GC_SQL_MESSAGE
  "FROM gemclone.chatrooms r LEFT JOIN LATERAL (SELECT * FROM gemclone.messages a "
  "WHERE a.room_id = r.id AND a.id > $4 AND NOT a.superseded ORDER BY a.id LIMIT $3) m ON true "
  "WHERE r.id = $2 AND r.user_id = $1 ORDER BY m.id")
X(MESSAGE_GET,
  GC_SQL_MESSAGE
  "FROM gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id "
  "WHERE m.room_id = $2 AND m.id = $3 AND r.user_id = $1")
#undef GC_SQL_MESSAGE

/* job.c */
X(JOB_CLAIM,
  "SELECT reply_id, room_id, user_id, prompt_id, fence, tries, fallback, "
  "(extract(epoch FROM age) * 1000000)::bigint, model, system_prompt, prompt, prompt_tokens "
  "FROM gemclone.job_claim($1, $2, $3, $4)")
X(JOB_HISTORY, "SELECT prompt, reply, tokens FROM gemclone.job_history($1, $2, $3)")
X(JOB_RENEW,   "SELECT reply_id, fence FROM gemclone.job_renew($1, $2, $3, $4)")
X(JOB_PUT_OFF, "SELECT gemclone.job_put_off($1, $2, $3, $4, $5, $6)")
X(JOB_FINISH,
  "SELECT outcome, next_due FROM gemclone.job_finish("
  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)")
/* clang-format on */
