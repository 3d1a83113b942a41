-- Deploy mod_gemclone:jobs to pg
-- The queue: one row for each reply that is owed, from the transaction that
-- stores the prompt to the one that stores the reply's end.
--
-- due_at says when a process may take the job:
--   NULL         an earlier reply of the same room is still owed
--   in the past  now
--   the future   a retry that waits or, where worker is set, the end of the
--                lease of the process that has it
-- fence grows at each claim; what a process reports under an older one is refused.
-- place says who is first among those that wait. A user's first reply that is owed
-- stands at the time of its prompt, each further one a second behind that: one who
-- sends a thousand prompts goes on beside the others, and nobody waits for ever.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.jobs (
    room_id    uuid        NOT NULL,
    reply_id   bigint      NOT NULL,
    user_id    uuid        NOT NULL,
    site       text        NOT NULL,
    due_at     timestamptz,
    place      timestamptz NOT NULL DEFAULT now(),
    worker     text,
    fence      bigint      NOT NULL DEFAULT 0,
    tries      integer     NOT NULL DEFAULT 0,
    lost       integer     NOT NULL DEFAULT 0,
    fallback   boolean     NOT NULL DEFAULT false,
    cancelled  boolean     NOT NULL DEFAULT false,
    dropped    boolean     NOT NULL DEFAULT false,
    error      text,
    reason     text,
    charged_on date        NOT NULL,
    traceparent text CHECK (length(traceparent) = 55),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, reply_id),
    FOREIGN KEY (room_id, reply_id) REFERENCES gemclone.messages ON DELETE CASCADE
) WITH (fillfactor = 70);

COMMENT ON COLUMN gemclone.jobs.site IS 'whose settings the reply is generated with: GemcloneSite';
COMMENT ON COLUMN gemclone.jobs.lost IS 'how often its process was not heard of again: after some of that it is not tried any more';
COMMENT ON COLUMN gemclone.jobs.fallback IS 'the fallback model is to be used';
COMMENT ON COLUMN gemclone.jobs.cancelled IS 'the user wants no more of it: the process that has it is to stop';
COMMENT ON COLUMN gemclone.jobs.dropped IS 'by an admin: its prompt is given back unless the reply is done after all';
COMMENT ON COLUMN gemclone.jobs.error IS 'of the last try that failed: as a message''s error has it';
COMMENT ON COLUMN gemclone.jobs.reason IS 'the same in a word or two for admins';
COMMENT ON COLUMN gemclone.jobs.charged_on IS 'the day to give the prompt back to, should the reply fail';
COMMENT ON COLUMN gemclone.jobs.traceparent IS 'where the reply was asked for, as W3C''s Trace Context has it: logs of its tries name it';

-- Each job stands in one of these.
CREATE INDEX jobs_waiting ON gemclone.jobs (site, place) WHERE worker IS NULL AND due_at IS NOT NULL;
CREATE INDEX jobs_leased ON gemclone.jobs (site, due_at) WHERE worker IS NOT NULL;
CREATE INDEX jobs_blocked ON gemclone.jobs (site, place) WHERE due_at IS NULL;
-- Those that may be what kills their processes; most of the time there are none.
CREATE INDEX jobs_suspect ON gemclone.jobs (site, place) WHERE lost >= 2;
-- How many a user is owed.
CREATE INDEX jobs_user ON gemclone.jobs (user_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.jobs TO gemclone;

-- Replies that have failed, for whoever looks after the server: what of their jobs is worth keeping. A
-- row goes when an admin has the reply tried again, and with its message.
CREATE TABLE gemclone.failures (
    room_id    uuid        NOT NULL,
    reply_id   bigint      NOT NULL,
    user_id    uuid        NOT NULL,
    site       text        NOT NULL,
    tries      integer     NOT NULL,
    lost       integer     NOT NULL,
    error      text        NOT NULL,
    reason     text,
    refunded   boolean     NOT NULL,
    charged_on date        NOT NULL,
    traceparent text,
    created_at timestamptz NOT NULL,
    failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (room_id, reply_id),
    FOREIGN KEY (room_id, reply_id) REFERENCES gemclone.messages ON DELETE CASCADE
);

COMMENT ON COLUMN gemclone.failures.refunded IS 'the prompt was given back to the day that it was charged on';
COMMENT ON COLUMN gemclone.failures.created_at IS 'when the prompt was accepted';

-- A site's, newest first.
CREATE INDEX failures_site ON gemclone.failures (site, failed_at);
-- For the sweep.
CREATE INDEX failures_past ON gemclone.failures (failed_at);

-- UPDATE: without it, no row may be locked.
GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.failures TO gemclone;

COMMIT;
