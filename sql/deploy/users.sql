-- Deploy mod_gemclone:users to pg
-- Accounts, one a phone number.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.users (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    e164          text        NOT NULL UNIQUE CHECK (e164 ~ '^\+[1-9][0-9]{6,14}$'),
    mobile_number text        NOT NULL,
    name          text,
    tier          text        NOT NULL DEFAULT 'basic' CHECK (tier IN ('basic', 'pro')),
    paid_until    timestamptz,
    password_hash text,
    created_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.users.e164 IS 'the number in E.164, by which an account is found';
COMMENT ON COLUMN gemclone.users.mobile_number IS 'the number as it was written at signup, as clients get it back';

COMMENT ON COLUMN gemclone.users.password_hash IS 'Argon2id, with its salt and cost; NULL: none was set';
COMMENT ON COLUMN gemclone.users.tier IS 'the admin''s to set: pro whatever is paid for';
COMMENT ON COLUMN gemclone.users.paid_until IS 'until when a subscription makes the account pro; infinity: until it is told to be over';

-- What an account has at this moment.
CREATE FUNCTION gemclone.tier_of(p_tier text, p_paid_until timestamptz)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_paid_until > now() THEN 'pro' ELSE p_tier END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.tier_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.tier_of TO gemclone;
GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.users TO gemclone;

COMMIT;
