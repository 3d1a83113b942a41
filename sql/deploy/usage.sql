-- Deploy mod_gemclone:usage to pg
-- Prompts and tokens of a user and UTC day: what the quota is charged on.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.usage (
    user_id       uuid    NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    day           date    NOT NULL,
    prompts       integer NOT NULL DEFAULT 0 CHECK (prompts >= 0),
    input_tokens  bigint  NOT NULL DEFAULT 0,
    output_tokens bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, day)
) WITH (fillfactor = 80);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.usage TO gemclone;

COMMIT;
