-- Deploy mod_gemclone:chatrooms to pg

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.chatrooms (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id       uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    title         text        NOT NULL,
    system_prompt text,
    model         text,
    created_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.chatrooms.system_prompt IS 'NULL: the server''s own';
COMMENT ON COLUMN gemclone.chatrooms.model IS 'NULL: the server''s own';

-- A user's rooms, newest first: the order of the list and of its cursors.
CREATE INDEX chatrooms_of_user ON gemclone.chatrooms (user_id, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.chatrooms TO gemclone;

COMMIT;
