-- Deploy mod_gemclone:sessions to pg
-- What an access token's sid names. A refresh token is kept as its hash only;
-- a session that was opened to reset a password has none.

BEGIN;

CREATE TABLE gemclone.sessions (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id      uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    purpose      text        NOT NULL CHECK (purpose IN ('login', 'reset_password')),
    refresh_hash bytea       UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX sessions_user ON gemclone.sessions (user_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.sessions TO gemclone;

COMMIT;
