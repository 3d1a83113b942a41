/* SPDX-License-Identifier: Apache-2.0
 * Every directive, by one line each: its field in gc_config_t, its value when
 * unset, how it is read, merged and described. conf/gemclone.conf documents
 * them; `make check` holds the two together.
 *
 *   FLAG(field, name, default, description)
 *   INTEGER(field, name, default, least, most, description)
 *   DURATION(field, name, default, least, most, description)   in microseconds
 *   SIZE(field, name, default, least, most, description)       in bytes
 *   TEXT(field, name, default, description)
 *   SECRET(field, name, description)                           one source
 *   LIST(field, name, arguments, setter, description)          see config.c
 */
/* clang-format off */

/* Access tokens */
LIST    (token_keys, "GemcloneTokenKey", TAKE23, set_token_key,
         "a key id, the source of a key, and its algorithm: the first signs access tokens, all verify them")
DURATION(token_lifetime, "GemcloneTokenLifetime", GC_MIN(30), GC_SEC(10), GC_DAY(30),
         "how long an access token is good")
TEXT    (token_issuer, "GemcloneTokenIssuer", "gemclone", "the issuer (iss) that access tokens name")

/* Sessions */
DURATION(session_idle, "GemcloneSessionIdle", GC_DAY(30), GC_MIN(1), GC_DAY(3650),
         "how long a session lasts without being refreshed")
DURATION(session_lifetime, "GemcloneSessionLifetime", GC_DAY(90), GC_MIN(1), GC_DAY(3650),
         "how long a session lasts at all")
DURATION(refresh_reuse, "GemcloneRefreshReuse", GC_SEC(10), 0, GC_MIN(5),
         "for how long several requests may come with the same refresh token")
INTEGER (max_sessions, "GemcloneMaxSessions", 50, 1, 1000, "sessions that a user may have: the one unused for longest goes")

/* Passwords */
INTEGER (password_min, "GemclonePasswordMin", 8, 6, 128, "the shortest password, in characters")
SIZE    (password_memory, "GemclonePasswordMemory", GC_KIB(65536), GC_KIB(8), GC_KIB(4194304),
         "memory that hashing one password takes")
INTEGER (password_passes, "GemclonePasswordPasses", 2, 1, 100, "passes over that memory")
INTEGER (password_hashes, "GemclonePasswordHashes", 2, 1, 64, "passwords that a child hashes at once")

/* One-time codes */
SECRET  (otp_key, "GemcloneOTPKey", "the source of the key that one-time codes are hashed with")
INTEGER (otp_length, "GemcloneOTPLength", 6, 4, 8, "digits of a one-time code")
DURATION(otp_lifetime, "GemcloneOTPLifetime", GC_MIN(5), GC_SEC(1), GC_DAY(1),
         "how long a one-time code is good")
INTEGER (otp_tries, "GemcloneOTPTries", 5, 1, 20, "tries at one-time codes that a number has in a window")
DURATION(otp_window, "GemcloneOTPWindow", GC_MIN(15), GC_SEC(1), GC_DAY(1), "the window of GemcloneOTPTries")
FLAG    (otp_reveal, "GemcloneOTPReveal", 0, "whether answers hold the one-time code: demonstrations and tests only")
TEXT    (otp_delivery, "GemcloneOTPDelivery", "log", "how one-time codes are delivered: log, reveal, twilio, twilio-verify or webhook")
TEXT    (otp_log, "GemcloneOTPLog", "none",
         "the file, readable by its owner only, that GemcloneOTPDelivery log writes codes to, or none")
LIST    (otp_countries, "GemcloneOTPCountries", ITERATE, set_otp_countries,
         "the beginnings of numbers that codes are sent to, such as +1 +44")
LIST    (otp_tests, "GemcloneOTPTestNumber", TAKE3, set_otp_test,
         "a number to test with, its code, and the last day on which that is good")
SECRET  (sms_key, "GemcloneSMSKey", "the source of what the SMS gateway is to know us by")
TEXT    (sms_key_id, "GemcloneSMSKeyId", NULL, "the id of that key, where it is not the account's own")
TEXT    (sms_account, "GemcloneSMSAccount", NULL, "the account at Twilio")
TEXT    (sms_from, "GemcloneSMSFrom", NULL, "the number or the messaging service that codes come from")
TEXT    (sms_service, "GemcloneSMSService", NULL, "the service of Twilio Verify")
TEXT    (sms_text, "GemcloneSMSText", "{code} is your code.", "what is sent, with {code} where the code stands")
TEXT    (sms_url, "GemcloneSMSURL", NULL, "where the SMS gateway is")
TEXT    (sms_ca_file, "GemcloneSMSCAFile", NULL, "authorities to trust instead of the system's, in PEM")
DURATION(sms_timeout, "GemcloneSMSTimeout", GC_SEC(10), GC_MS(10), GC_MIN(1), "the time of one call of the SMS gateway")
TEXT    (country_code, "GemcloneCountryCode", "+1", "what goes before numbers that have no + of their own")

/* Limits */
LIST    (limits, "GemcloneLimit", TAKE23, set_limit,
         "what may be done so often, how often or unlimited, and in which time")
LIST    (quotas, "GemcloneQuota", TAKE2, set_quota, "a tier and its prompts a UTC day, or unlimited")
SIZE    (max_body, "GemcloneMaxBody", GC_KIB(256), 1024, GC_KIB(16384), "the largest request body")
INTEGER (max_prompt, "GemcloneMaxPrompt", 32000, 1, 1000000, "the longest prompt, in characters")

INTEGER (max_backlog, "GemcloneMaxBacklog", 10000, 1, 100000000,
         "replies that may be owed at once; further prompts are refused")
INTEGER (max_user_backlog, "GemcloneMaxUserBacklog", 1000, 1, 100000000, "those of one user")

/* What the server tells of itself */
FLAG    (metrics, "GemcloneMetrics", 0, "whether GET /metrics tells what is counted here; else it is unknown")
FLAG    (server_status, "GemcloneServerStatus", 1, "whether mod_status' page has a section for this site")

/* Pages of other origins */
LIST    (cors_origins, "GemcloneCORSOrigin", ITERATE, set_cors_origin,
         "the origins whose pages may use the API, or * for any")
FLAG    (cors_credentials, "GemcloneCORSCredentials", 0, "whether browsers may send credentials of their own along")

/* Work */
TEXT    (site, "GemcloneSite", "default", "the name under which hosts share jobs: one set of Gemini settings")
FLAG    (docs, "GemcloneDocs", 1, "whether /docs is there, a page to read about the API and to try it")
FLAG    (demo_page, "GemcloneDemoPage", 0, "whether browsers that ask for / get a page to chat on")

FLAG    (worker, "GemcloneWorker", 1, "whether this server generates replies, or only accepts prompts")
INTEGER (threads, "GemcloneThreads", 4, 1, 7, "threads of a child that do what blocks, beside the loop")
INTEGER (max_replies, "GemcloneMaxReplies", 1000, 1, 100000, "replies that a child generates at once")
DURATION(lease, "GemcloneLease", GC_SEC(15), GC_SEC(1), GC_MIN(10),
         "how long a job is its process' own without word from it")
DURATION(poll, "GemclonePoll", GC_SEC(1), GC_MS(50), GC_MIN(1), "how often a process looks for jobs unasked")
DURATION(sweep, "GemcloneSweep", GC_MIN(1), GC_SEC(1), GC_DAY(1),
         "how often what is past is removed, and what was forgotten taken up again")
SIZE    (max_unstored, "GemcloneMaxUnstored", GC_KIB(65536), 0, GC_KIB(67108864),
         "what a child keeps of replies that are done while Postgres cannot take them")
DURATION(drain_timeout, "GemcloneDrainTimeout", GC_SEC(10), 0, GC_MIN(60),
         "how long running replies may go on when a child stops")

/* Tracing */
TEXT    (trace_parent, "GemcloneTraceParent", "Accept",
         "what is done with a request's traceparent: off, accept, or generate where there is none")

/* Streams of events */
INTEGER (max_streams, "GemcloneMaxStreams", 1000, 0, 1000000, "streams that a child holds open at once")
INTEGER (blocking_streams, "GemcloneBlockingStreams", 16, 0, 100000,
         "streams and long exports of this host that may have a thread each")
SIZE    (stream_buffer, "GemcloneStreamBuffer", GC_KIB(64), GC_KIB(4), GC_KIB(16384),
         "what a reader may leave unread before its stream is dropped")
DURATION(stream_heartbeat, "GemcloneStreamHeartbeat", GC_SEC(15), GC_SEC(1), GC_MIN(5),
         "after how long without an event a comment is sent")

/* Postgres; the connection itself is mod_dbd's */
INTEGER (db_connections, "GemcloneDatabaseConnections", 8, 1, 1000, "connections that a child uses at once")
DURATION(db_timeout, "GemcloneDatabaseTimeout", GC_SEC(5), GC_MS(10), GC_MIN(5), "the time of one statement")
DURATION(db_wait, "GemcloneDatabaseWait", GC_SEC(2), GC_MS(10), GC_MIN(1), "how long to wait for a free connection")

/* Gemini */
LIST    (gemini_keys, "GemcloneGeminiKey", TAKE1, set_gemini_key, "the source of an API key; several take turns")
TEXT    (gemini_url, "GemcloneGeminiURL", "https://generativelanguage.googleapis.com/v1beta",
         "where the API is, up to and with its version")
TEXT    (gemini_model, "GemcloneGeminiModel", "gemini-3.8-flash", "the model where a chatroom names none")
TEXT    (gemini_fallback, "GemcloneGeminiFallback", "gemini-3.5-flash-lite",
         "the model when the first one is gone or used up, or none")
LIST    (gemini_models, "GemcloneGeminiModels", ITERATE, set_gemini_models,
         "the models that chatrooms may name")
LIST    (gemini_generation, "GemcloneGeminiGeneration", TAKE2, set_gemini_generation,
         "a member of generationConfig and its value")
TEXT    (gemini_thinking, "GemcloneGeminiThinking", NULL, "how much to think: low, medium, high, or a budget in tokens")
LIST    (gemini_safety, "GemcloneGeminiSafety", TAKE2, set_gemini_safety, "a harm category and its threshold")
DURATION(gemini_connect, "GemcloneGeminiConnectTimeout", GC_SEC(5), GC_MS(10), GC_MIN(5), "the time to connect")
DURATION(gemini_first, "GemcloneGeminiFirstTokenTimeout", GC_SEC(60), GC_MS(10), GC_MIN(60),
         "the time until a reply begins")
DURATION(gemini_idle, "GemcloneGeminiIdleTimeout", GC_SEC(30), GC_MS(10), GC_MIN(60),
         "the longest pause in a reply")
DURATION(gemini_total, "GemcloneGeminiTotalTimeout", GC_MIN(10), GC_MS(10), GC_DAY(1), "the time of a whole try")
INTEGER (gemini_tries, "GemcloneGeminiTries", 5, 1, 20, "tries that a reply has")
DURATION(gemini_backoff, "GemcloneGeminiBackoff", GC_SEC(1), GC_MS(1), GC_MIN(1),
         "the pause before a second try, doubled for each further one")
INTEGER (gemini_breaker, "GemcloneGeminiBreaker", 10, 0, 1000000,
         "failures in a row after which a key is not asked for a model any more, for a while; 0: never mind")
DURATION(gemini_rest, "GemcloneGeminiBreakerRest", GC_SEC(10), GC_MS(10), GC_MIN(5),
         "how long that while is; twice as long each further time")
TEXT    (gemini_ca_file, "GemcloneGeminiCAFile", NULL, "authorities to trust instead of the system's, in PEM")
TEXT    (system_prompt, "GemcloneSystemPrompt", NULL, "the system instruction where a chatroom has none")
INTEGER (context_tokens, "GemcloneContextTokens", 32000, 100, 10000000,
         "tokens of history, system instruction and prompt that are sent")
SIZE    (max_reply, "GemcloneMaxReply", GC_KIB(1024), 1024, GC_KIB(65536), "the longest reply")

/* Stripe */
SECRET  (stripe_key, "GemcloneStripeKey", "the source of the API key that Stripe is asked with; without it nothing is sold")
LIST    (stripe_secrets, "GemcloneStripeWebhookSecret", TAKE1, set_stripe_secret,
         "the source of a secret that Stripe signs its events with; several may be good at once")
TEXT    (stripe_price, "GemcloneStripePrice", NULL, "the price of a subscription, by its id")
TEXT    (stripe_success, "GemcloneStripeSuccessURL", NULL, "where a browser goes after it has paid")
TEXT    (stripe_cancel, "GemcloneStripeCancelURL", NULL, "where a browser goes that does not pay after all")
TEXT    (stripe_return, "GemcloneStripeReturnURL", NULL, "where a browser comes back to from the customer portal")
TEXT    (stripe_url, "GemcloneStripeURL", "https://api.stripe.com", "where Stripe's API is")
TEXT    (stripe_version, "GemcloneStripeVersion", "2026-07-29.dahlia", "the version of Stripe's API that is asked for")
TEXT    (stripe_ca_file, "GemcloneStripeCAFile", NULL, "authorities to trust instead of the system's, in PEM")
DURATION(stripe_timeout, "GemcloneStripeTimeout", GC_SEC(80), GC_MS(10), GC_MIN(10), "the time of one call of Stripe")
DURATION(billing_grace, "GemcloneBillingGrace", GC_DAY(7), 0, GC_DAY(365),
         "how long a subscription is good after a payment for it has failed")

/* Redis */
TEXT    (redis, "GemcloneRedis", "none", "where Redis is: redis://host[:port][/database], unix:/path, or none")
TEXT    (redis_username, "GemcloneRedisUsername", NULL, "whom to sign in to Redis as")
SECRET  (redis_password, "GemcloneRedisPassword", "the source of the password for Redis")
LIST    (redis_timeouts, "GemcloneRedisTimeout", TAKE12, set_redis_timeout,
         "the time of one command, and that to connect")
INTEGER (redis_connections, "GemcloneRedisConnections", 8, 1, 1000, "connections to Redis that a child uses at once")
TEXT    (redis_prefix, "GemcloneRedisPrefix", "gemclone:", "what all keys in Redis begin with")
DURATION(cache_ttl, "GemcloneCacheTTL", GC_SEC(60), GC_SEC(1), GC_DAY(1), "how long answers are kept in the cache")
SIZE    (cache_size, "GemcloneCacheSize", GC_KIB(16384), GC_KIB(256), GC_KIB(4194304),
         "memory that a child keeps answers in")
/* clang-format on */
