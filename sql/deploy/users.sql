-- Deploy mod_gemclone:users to pg
-- Accounts, one a phone number.

BEGIN;

CREATE TABLE gemclone.users (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    e164          text        NOT NULL UNIQUE CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    mobile_number text        NOT NULL,
    name          text,
    tier          text        NOT NULL DEFAULT 'basic' CHECK (tier IN ('basic', 'pro')),
    created_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.users.e164 IS 'the number in E.164, by which an account is found';
COMMENT ON COLUMN gemclone.users.mobile_number IS 'the number as it was written at signup, as clients get it back';

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.users TO gemclone;

COMMIT;
