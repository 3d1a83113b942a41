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

BEGIN;

CREATE TABLE gemclone.jobs (
    room_id    uuid        NOT NULL,
    reply_id   bigint      NOT NULL,
    user_id    uuid        NOT NULL,
    site       text        NOT NULL,
    due_at     timestamptz,
    worker     text,
    fence      bigint      NOT NULL DEFAULT 0,
    tries      integer     NOT NULL DEFAULT 0,
    fallback   boolean     NOT NULL DEFAULT false,
    charged_on date        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, reply_id),
    FOREIGN KEY (room_id, reply_id) REFERENCES gemclone.messages ON DELETE CASCADE
) WITH (fillfactor = 70);

COMMENT ON COLUMN gemclone.jobs.site IS 'whose settings the reply is generated with: GemcloneSite';
COMMENT ON COLUMN gemclone.jobs.fallback IS 'the fallback model is to be used';
COMMENT ON COLUMN gemclone.jobs.charged_on IS 'the day to give the prompt back to, should the reply fail';

CREATE INDEX jobs_due ON gemclone.jobs (site, due_at) WHERE due_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.jobs TO gemclone;

COMMIT;
