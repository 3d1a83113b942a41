/* SPDX-License-Identifier: Apache-2.0
 * Every metric, in the order in which they are shown. A line is a series, or a histogram; FAMILY
 * tells what the series after it are. All have a label `site` besides.
 *
 *   FAMILY(type, name, help)                 counter or gauge
 *     COUNTER(id, labels)                    counted since httpd was started
 *     GAUGE(id, labels)                      held by children that live: summed over these
 *     SAMPLE(id, labels)                     known to whoever shows them; left out where it is not
 *   HISTOGRAM(id, name, bounds, help)        of times; bounds: fast or slow
 *   REQUESTS, REQUEST_TIMES                  by route and method, and by status
 *
 * Whoever includes this defines those of them that are of interest. Names and labels are an
 * interface: dashboards and alerts are made of them.
 */
/* clang-format off */
#ifndef FAMILY
#define FAMILY(type, name, help)
#endif
#ifndef COUNTER
#define COUNTER(id, labels)
#endif
#ifndef GAUGE
#define GAUGE(id, labels)
#endif
#ifndef SAMPLE
#define SAMPLE(id, labels)
#endif
#ifndef HISTOGRAM
#define HISTOGRAM(id, name, bounds, help)
#endif
#ifndef REQUESTS
#define REQUESTS(name, help)
#endif
#ifndef REQUEST_TIMES
#define REQUEST_TIMES(name, help)
#endif

/* Requests */
REQUESTS("gemclone_requests_total", "Requests that have ended.")
REQUEST_TIMES("gemclone_request_duration_seconds", "Time from a request's first line to the end of its answer, streams not counted.")
FAMILY(gauge, "gemclone_requests_in_flight", "Requests that are being answered, streams not counted.")
    GAUGE(IN_FLIGHT, "")
FAMILY(gauge, "gemclone_requests_waiting", "Of these, those that wait for a turn at hashing, for Stripe or for the SMS gateway.")
    GAUGE(WAITING, "")
FAMILY(counter, "gemclone_limited_total", "Requests that were refused since a limit of GemcloneLimit was used up.")
    COUNTER(LIMITED_SIGNUP_ADDRESS,  "limit=\"signup-address\"")
    COUNTER(LIMITED_SIGN_IN_ADDRESS, "limit=\"sign-in-address\"")
    COUNTER(LIMITED_OTP_TRY,         "limit=\"otp-try\"")
    COUNTER(LIMITED_PASSWORD,        "limit=\"password\"")
    COUNTER(LIMITED_OTP_ADDRESS,     "limit=\"otp-address\"")
    COUNTER(LIMITED_OTP_NUMBER,      "limit=\"otp-number\"")
    COUNTER(LIMITED_OTP_COOLDOWN,    "limit=\"otp-cooldown\"")
    COUNTER(LIMITED_OTP_BUDGET,      "limit=\"otp-budget\"")

/* Accounts */
FAMILY(counter, "gemclone_signups_total", "Accounts that were made; asked for again by their Idempotency-Key, they count again.")
    COUNTER(SIGNUPS, "")
FAMILY(counter, "gemclone_sessions_opened_total", "Sessions that were opened; by reset: for a new password only.")
    COUNTER(OPENED_OTP,      "by=\"otp\"")
    COUNTER(OPENED_PASSWORD, "by=\"password\"")
    COUNTER(OPENED_RESET,    "by=\"reset\"")
FAMILY(counter, "gemclone_sign_ins_refused_total", "Codes, passwords and refresh tokens that were not good.")
    COUNTER(REFUSED_OTP,      "by=\"otp\"")
    COUNTER(REFUSED_PASSWORD, "by=\"password\"")
    COUNTER(REFUSED_REFRESH,  "by=\"refresh\"")
FAMILY(counter, "gemclone_sessions_ended_total", "Ends of sessions: one by its user, all by their user, one whose refresh token came twice.")
    COUNTER(ENDED_ONE,    "why=\"one\"")
    COUNTER(ENDED_ALL,    "why=\"all\"")
    COUNTER(ENDED_REUSED, "why=\"reused\"")
FAMILY(counter, "gemclone_otp_deliveries_total", "Calls of the SMS gateway, or lines of GemcloneOTPLog, for one-time codes.")
    COUNTER(OTP_TWILIO_SENT,     "delivery=\"twilio\",outcome=\"sent\"")
    COUNTER(OTP_TWILIO_AGAIN,    "delivery=\"twilio\",outcome=\"again\"")
    COUNTER(OTP_TWILIO_FAILED,   "delivery=\"twilio\",outcome=\"failed\"")
    COUNTER(OTP_VERIFY_SENT,     "delivery=\"twilio-verify\",outcome=\"sent\"")
    COUNTER(OTP_VERIFY_AGAIN,    "delivery=\"twilio-verify\",outcome=\"again\"")
    COUNTER(OTP_VERIFY_FAILED,   "delivery=\"twilio-verify\",outcome=\"failed\"")
    COUNTER(OTP_WEBHOOK_SENT,    "delivery=\"webhook\",outcome=\"sent\"")
    COUNTER(OTP_WEBHOOK_AGAIN,   "delivery=\"webhook\",outcome=\"again\"")
    COUNTER(OTP_WEBHOOK_FAILED,  "delivery=\"webhook\",outcome=\"failed\"")
    COUNTER(OTP_LOG_SENT,        "delivery=\"log\",outcome=\"sent\"")
    COUNTER(OTP_LOG_AGAIN,       "delivery=\"log\",outcome=\"again\"")
    COUNTER(OTP_LOG_FAILED,      "delivery=\"log\",outcome=\"failed\"")
FAMILY(counter, "gemclone_otp_over_budget_total", "One-time codes that were not sent since the day's budget was used up.")
    COUNTER(OTP_OVER_BUDGET, "")

/* Prompts and replies */
FAMILY(counter, "gemclone_prompts_total", "Prompts that were accepted, those to generate a reply anew included.")
    COUNTER(PROMPTS, "")
FAMILY(counter, "gemclone_prompts_refused_total", "Prompts that were refused: the day's quota is used up, or too many replies are owed to the user, or to all.")
    COUNTER(PROMPT_QUOTA,        "reason=\"quota\"")
    COUNTER(PROMPT_USER_BACKLOG, "reason=\"user-backlog\"")
    COUNTER(PROMPT_BACKLOG,      "reason=\"backlog\"")
FAMILY(counter, "gemclone_replies_total", "Replies that have ended.")
    COUNTER(REPLY_DONE,         "state=\"done\",error=\"\"")
    COUNTER(REPLY_CANCELLED,    "state=\"cancelled\",error=\"\"")
    COUNTER(REPLY_BLOCKED,      "state=\"failed\",error=\"blocked\"")
    COUNTER(REPLY_RATE_LIMITED, "state=\"failed\",error=\"rate_limited\"")
    COUNTER(REPLY_UPSTREAM,     "state=\"failed\",error=\"upstream\"")
    COUNTER(REPLY_TIMEOUT,      "state=\"failed\",error=\"timeout\"")
    COUNTER(REPLY_TOO_LONG,     "state=\"failed\",error=\"too_long\"")
    COUNTER(REPLY_POISON,       "state=\"failed\",error=\"poison\"")
FAMILY(counter, "gemclone_reply_retries_total", "Replies that were put off for another try.")
    COUNTER(RETRY_BLOCKED,      "error=\"blocked\"")
    COUNTER(RETRY_RATE_LIMITED, "error=\"rate_limited\"")
    COUNTER(RETRY_UPSTREAM,     "error=\"upstream\"")
    COUNTER(RETRY_TIMEOUT,      "error=\"timeout\"")
    COUNTER(RETRY_TOO_LONG,     "error=\"too_long\"")
HISTOGRAM(REPLY_FIRST, "gemclone_reply_first_token_seconds", slow, "Time from a prompt to the first text of a try at its reply.")
HISTOGRAM(REPLY_WHOLE, "gemclone_reply_duration_seconds", slow, "Time from a prompt to the durable end of a reply that is done.")
FAMILY(counter, "gemclone_tokens_total", "Tokens of replies that have ended, as Gemini counts them: cached ones are part of those of the prompt.")
    COUNTER(TOKENS_PROMPT,  "kind=\"prompt\"")
    COUNTER(TOKENS_CACHED,  "kind=\"cached\"")
    COUNTER(TOKENS_THOUGHT, "kind=\"thought\"")
    COUNTER(TOKENS_REPLY,   "kind=\"reply\"")
FAMILY(gauge, "gemclone_replies_running", "Replies that this host has in hand.")
    GAUGE(RUNNING, "")
FAMILY(gauge, "gemclone_replies_unstored", "Of these, those that have ended, but that Postgres could not take yet.")
    GAUGE(UNSTORED, "")

/* Gemini */
FAMILY(counter, "gemclone_gemini_calls_total", "Calls of Gemini that have ended; abandoned: hung up by us.")
    COUNTER(CALL_DONE,      "outcome=\"done\"")
    COUNTER(CALL_TRUNCATED, "outcome=\"truncated\"")
    COUNTER(CALL_BLOCKED,   "outcome=\"blocked\"")
    COUNTER(CALL_FAILED,    "outcome=\"failed\"")
    COUNTER(CALL_ABANDONED, "outcome=\"abandoned\"")
FAMILY(gauge, "gemclone_gemini_calls_in_flight", "Calls of Gemini that are out.")
    GAUGE(CALLS, "")
HISTOGRAM(CALL_FIRST, "gemclone_gemini_first_token_seconds", slow, "Time from the beginning of a call of Gemini to its first text.")
FAMILY(counter, "gemclone_gemini_alarms_total", "Answers of Gemini's that refuse a key, region, billing or model: an admin must act.")
    COUNTER(ALARMS, "")
FAMILY(gauge, "gemclone_gemini_circuits_open", "Keys that a model is not asked with for a while, and until one prompt has tried it out; of each child.")
    GAUGE(CIRCUITS_OPEN, "")
FAMILY(counter, "gemclone_gemini_circuit_openings_total", "How often that was begun.")
    COUNTER(CIRCUIT_FAULTS,      "reason=\"faults\"")
    COUNTER(CIRCUIT_RATE_LIMIT,  "reason=\"rate-limit\"")
    COUNTER(CIRCUIT_QUOTA,       "reason=\"quota\"")
    COUNTER(CIRCUIT_KEY_REFUSED, "reason=\"key-refused\"")
FAMILY(counter, "gemclone_gemini_unasked_total", "Tries for which no key was left to ask with.")
    COUNTER(UNASKED, "")

/* The queue, in the database: of all hosts together */
FAMILY(gauge, "gemclone_queue_owed", "Replies that are owed, on all hosts.")
    SAMPLE(OWED, "")
FAMILY(gauge, "gemclone_queue_limit", "GemcloneMaxBacklog.")
    SAMPLE(OWED_LIMIT, "")
FAMILY(gauge, "gemclone_queue_generating", "Of those owed, those being generated.")
    SAMPLE(GENERATING, "")
FAMILY(gauge, "gemclone_queue_due", "Of those owed, those that are due and not begun.")
    SAMPLE(DUE, "")
FAMILY(gauge, "gemclone_queue_oldest_seconds", "For how long the oldest of these has been due.")
    SAMPLE(OLDEST, "")
FAMILY(gauge, "gemclone_queue_counted_seconds", "How long ago the queue was counted.")
    SAMPLE(COUNTED, "")
FAMILY(counter, "gemclone_swept_total", "Rows that were past, and were removed by this host.")
    SAMPLE(SWEPT_CODES,    "kind=\"codes\"")
    SAMPLE(SWEPT_LIMITS,   "kind=\"limits\"")
    SAMPLE(SWEPT_SESSIONS, "kind=\"sessions\"")
    SAMPLE(SWEPT_KEYS,     "kind=\"keys\"")
    SAMPLE(SWEPT_TICKETS,  "kind=\"tickets\"")

/* Streams */
FAMILY(gauge, "gemclone_streams_open", "Streams that are open.")
    GAUGE(STREAMS, "")
FAMILY(gauge, "gemclone_streams_limit", "Streams that the children that live may have: GemcloneMaxStreams each.")
    GAUGE(STREAMS_LIMIT, "")
FAMILY(counter, "gemclone_streams_opened_total", "Streams that were opened, those by clients that came back apart.")
    COUNTER(STREAM_NEW,     "kind=\"new\"")
    COUNTER(STREAM_RESUMED, "kind=\"resumed\"")
FAMILY(counter, "gemclone_streams_replayed_total", "Replies that were sent as events at once: they had ended.")
    COUNTER(STREAM_REPLAYED, "")
FAMILY(counter, "gemclone_streams_refused_total", "Streams that were refused since as many were open as there may be.")
    COUNTER(STREAM_REFUSED, "")
FAMILY(counter, "gemclone_streams_dropped_total", "Streams whose reader was too slow.")
    COUNTER(STREAM_DROPPED, "")
HISTOGRAM(STREAM, "gemclone_stream_duration_seconds", slow, "How long streams were open.")

/* Postgres */
HISTOGRAM(STATEMENT, "gemclone_database_statement_seconds", fast, "Time of a statement, the wait for a connection included.")
FAMILY(counter, "gemclone_database_statements_total", "Statements, with what became of them; unknown: nobody heard of their end.")
    COUNTER(STATEMENT_OK,          "outcome=\"ok\"")
    COUNTER(STATEMENT_UNAVAILABLE, "outcome=\"unavailable\"")
    COUNTER(STATEMENT_UNKNOWN,     "outcome=\"unknown\"")
    COUNTER(STATEMENT_REFUSED,     "outcome=\"refused\"")
FAMILY(counter, "gemclone_database_busy_total", "Of those unavailable, those for which no connection became free in time.")
    COUNTER(STATEMENT_BUSY, "")
FAMILY(counter, "gemclone_database_waits_total", "Statements that had to wait for a free connection.")
    COUNTER(STATEMENT_WAITS, "")
FAMILY(gauge, "gemclone_database_connections_in_use", "Connections to Postgres in use, or being made.")
    GAUGE(LENT, "")
FAMILY(gauge, "gemclone_database_connections_limit", "Connections that the children that live may have: GemcloneDatabaseConnections each.")
    GAUGE(LENT_LIMIT, "")
FAMILY(gauge, "gemclone_database_unreachable", "Children that cannot reach Postgres.")
    GAUGE(DATABASE_DOWN, "")

/* Redis, and what is kept */
FAMILY(gauge, "gemclone_redis_wanted", "Children that are to use Redis.")
    GAUGE(REDIS_WANTED, "")
FAMILY(gauge, "gemclone_redis_connected", "Of these, those that hear of it.")
    GAUGE(REDIS_CONNECTED, "")
FAMILY(counter, "gemclone_redis_commands_total", "Commands for the cache; skipped: Redis was away, or no connection free.")
    COUNTER(REDIS_OK,      "outcome=\"ok\"")
    COUNTER(REDIS_FAILED,  "outcome=\"failed\"")
    COUNTER(REDIS_SKIPPED, "outcome=\"skipped\"")
FAMILY(counter, "gemclone_cache_lookups_total", "Where answers were found that are kept: in the child, in Redis, or not at all.")
    COUNTER(CACHE_NEAR,  "result=\"near\"")
    COUNTER(CACHE_REDIS, "result=\"redis\"")
    COUNTER(CACHE_MISS,  "result=\"miss\"")
FAMILY(gauge, "gemclone_cache_near_entries", "Answers that children keep.")
    GAUGE(NEAR_ENTRIES, "")
FAMILY(gauge, "gemclone_cache_near_bytes", "Memory that these take.")
    GAUGE(NEAR_BYTES, "")

/* Stripe */
FAMILY(counter, "gemclone_webhooks_total", "Requests to /webhook/stripe that could be judged; repeated: the event was there already; failed: it could not be stored.")
    COUNTER(WEBHOOK_ACCEPTED, "result=\"accepted\"")
    COUNTER(WEBHOOK_REPEATED, "result=\"repeated\"")
    COUNTER(WEBHOOK_REFUSED,  "result=\"refused\"")
    COUNTER(WEBHOOK_FAILED,   "result=\"failed\"")
FAMILY(counter, "gemclone_stripe_events_total", "Tries at Stripe's events; ignored and foreign: nothing follows from them.")
    COUNTER(EVENT_DONE,    "result=\"done\"")
    COUNTER(EVENT_IGNORED, "result=\"ignored\"")
    COUNTER(EVENT_FOREIGN, "result=\"foreign\"")
    COUNTER(EVENT_FAILED,  "result=\"failed\"")
FAMILY(gauge, "gemclone_stripe_events_waiting", "Stripe's events that are not worked off. Left out where nothing is sold.")
    SAMPLE(EVENTS_WAITING, "")
FAMILY(gauge, "gemclone_stripe_events_failing", "Of these, those that have failed.")
    SAMPLE(EVENTS_FAILING, "")

#undef FAMILY
#undef COUNTER
#undef GAUGE
#undef SAMPLE
#undef HISTOGRAM
#undef REQUESTS
#undef REQUEST_TIMES
/* clang-format on */
