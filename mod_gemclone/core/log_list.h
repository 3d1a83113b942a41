/* SPDX-License-Identifier: Apache-2.0
 * Every log message: X(id, level, what it means to who reads the log).
 *
 * Ids never change their meaning and are never used again. ERR means that
 * somebody must act. `make check` holds this list against the code.
 */
/* clang-format off */

/* Start and stop */
X(GEM0001, NOTICE,  "a child's companion runs: the loop and its pool")
X(GEM0002, ERR,     "a child's companion could not start; the child answers, but generates no replies")
X(GEM0003, WARNING, "GemcloneOTPReveal is on: whoever knows a phone number can sign in with it")
X(GEM0004, WARNING, "a secret stands in the configuration itself; use file: or exec:")
X(GEM0005, INFO,    "a child stops: replies that were not done in time are given back")
X(GEM0006, ERR,     "a configuration that cannot work: the text names the directive, its line and the mend")
X(GEM0007, WARNING, "a configuration that works, but seldom as meant")

/* Accounts */
X(GEM0101, INFO,    "a one-time code for a number; the code itself is not logged")
X(GEM0102, INFO,    "a one-time code was refused: wrong, used, expired or after too many tries")
X(GEM0103, INFO,    "a one-time code was handed over: to the SMS gateway, or into GemcloneOTPLog")
X(GEM0104, WARNING, "a one-time code could not be handed over; the text tells whether it is tried again")
X(GEM0105, ERR,     "the SMS gateway refuses GemcloneSMSKey, or its certificate was refused")
X(GEM0106, ERR,     "the day's budget of one-time codes is used up: no more are sent")
X(GEM0107, WARNING, "the SMS gateway could not be asked whether a one-time code is right")
X(GEM0108, INFO,    "a password was refused: wrong, of no account, or after too many tries")
X(GEM0109, NOTICE,  "a session was ended: its refresh token came a second time, so somebody has a copy")
X(GEM0110, INFO,    "a limit of GemcloneLimit is used up for a number or an address")

/* Postgres */
X(GEM0201, ERR,     "Postgres cannot be reached; requests get 503 until it is back")
X(GEM0202, WARNING, "Postgres is reached again")
X(GEM0203, WARNING, "a statement ran out of time, its connection broke, or Postgres could not do it however often it was tried")
X(GEM0204, ERR,     "the schema is not the one that this module needs: run the migrations")
X(GEM0205, ERR,     "Postgres refused a statement for a reason that is not the client's")
X(GEM0206, WARNING, "all database connections of this child were busy for GemcloneDatabaseWait")

/* Redis */
X(GEM0301, WARNING, "Redis cannot be reached, or answers with errors; work goes on without it")
X(GEM0302, WARNING, "Redis is used again")

/* Replies */
X(GEM0401, INFO,    "a reply has ended: with its model, its time, its tokens and, where it has one, its trace")
X(GEM0402, INFO,    "a reply is tried again")
X(GEM0403, ERR,     "Gemini refuses this key, region or billing; no reply can be generated until it is mended")
X(GEM0404, INFO,    "a try is void: the job is another process's by now, or was deleted")
X(GEM0405, WARNING, "the end of a reply could not be stored; it is tried again")
X(GEM0406, ERR,     "the end of a reply could be neither stored nor kept; the reply will be generated again")
X(GEM0407, WARNING, "jobs could not be claimed or renewed")
X(GEM0408, DEBUG,   "jobs were claimed")
X(GEM0409, WARNING, "a reply has failed")
X(GEM0410, WARNING, "a key is not asked for a model for a while: it fails again and again, its limit is reached or its quota used up")
X(GEM0411, NOTICE,  "a key is asked for that model again")
X(GEM0412, ERR,     "a reply has killed the processes that tried it; it fails as poison, and its prompt should be looked at")
X(GEM0413, WARNING, "jobs are due for longer than a minute: nobody takes them, or not enough")
X(GEM0414, INFO,    "a sweep has removed what is past, or taken up what was forgotten")
X(GEM0415, WARNING, "more replies are owed than GemcloneMaxBacklog; prompts are refused")
X(GEM0416, DEBUG,   "Gemini is asked for a reply")

/* Streams */
X(GEM0601, NOTICE,  "how streams of events are served by this MPM")
X(GEM0602, INFO,    "a reader of a stream was dropped: it left more than GemcloneStreamBuffer unread, or took nothing for long")

/* Billing */
X(GEM0701, INFO,    "an event of Stripe's was worked off")
X(GEM0702, ERR,     "Stripe refuses the API key, or its certificate was refused")
X(GEM0703, WARNING, "an event of Stripe's could not be worked off; it is tried again")
X(GEM0704, WARNING, "a webhook request was refused: it is not signed by Stripe, or not for us")

X(GEM0705, ERR,     "Stripe refused a request that a user's was answered with")
X(GEM0706, INFO,    "subscriptions are asked about whose period has ended without an event")

/* The admin page */
X(GEM0801, NOTICE,  "an admin has changed something: what, and who that was")
X(GEM0802, ERR,     "the admin page is not shown: nothing keeps anybody out of it")

/* Requests */
X(GEM0501, ERR,     "a request failed inside the module")
X(GEM0502, WARNING, "an export was cut off: what was to follow could not be read")
X(GEM0503, ERR,     "AuthType Gemclone in a host that has no Gemclone, or whose child could not start it; nobody gets in")
X(GEM0504, ERR,     "Require gemclone-tier without AuthType Gemclone; nobody gets in by it")
/* clang-format on */
