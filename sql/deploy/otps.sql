-- Deploy mod_gemclone:otps to pg
-- One-time codes, as keyed hashes, and the tries made at them. Tries are
-- counted by number and window, apart from the codes, so that asking for
-- another code gives no more of them. Unknown numbers get rows as well: what
-- an account's existence would change in the work done here, a clock could tell.

BEGIN;

CREATE TABLE gemclone.otps (
    e164       text        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('login', 'reset_password')),
    code_hash  bytea       NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (e164, purpose)
);

CREATE TABLE gemclone.otp_tries (
    e164        text        PRIMARY KEY,
    tries       integer     NOT NULL,
    window_ends timestamptz NOT NULL
);

CREATE INDEX otps_expiry ON gemclone.otps (expires_at);
CREATE INDEX otp_tries_expiry ON gemclone.otp_tries (window_ends);

-- Stores a new code, which voids the older one of the same purpose.
-- Returns the account's id, or NULL where the number has none.
CREATE FUNCTION gemclone.otp_issue(p_e164 text, p_purpose text, p_hash bytea, p_lifetime interval)
RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gemclone.otps (e164, purpose, code_hash, expires_at)
    VALUES (p_e164, p_purpose, p_hash, now() + p_lifetime)
    ON CONFLICT (e164, purpose) DO UPDATE
        SET code_hash = EXCLUDED.code_hash, expires_at = EXCLUDED.expires_at;

    RETURN (SELECT u.id FROM gemclone.users u WHERE u.e164 = p_e164);
END
$$;

-- Tries a code. Right: the code is used up and a session is opened, whose id
-- and user come back. Wrong, used, expired, too many tries, unknown number: no row.
--
-- The try is counted before the code is looked at, under the row lock that the
-- upsert takes, so that parallel guesses cannot overshoot. A right code takes
-- its own try back and no other: a user who signs in gives a guesser nothing.
CREATE FUNCTION gemclone.otp_verify(p_e164 text, p_purpose text, p_hash bytea,
                                    p_tries integer, p_window interval, p_refresh_hash bytea)
RETURNS TABLE (session_id uuid, user_id uuid) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gemclone.otp_tries AS t (e164, tries, window_ends)
    VALUES (p_e164, 1, now() + p_window)
    ON CONFLICT (e164) DO UPDATE
        SET tries = CASE WHEN t.window_ends <= now() THEN 1 ELSE t.tries + 1 END,
            window_ends = CASE WHEN t.window_ends <= now() THEN EXCLUDED.window_ends
                               ELSE t.window_ends END
        WHERE t.window_ends <= now() OR t.tries < p_tries;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- Both sides are HMACs under a key that no client has: how far the
    -- comparison got tells nothing about a code.
    DELETE FROM gemclone.otps o
    WHERE o.e164 = p_e164 AND o.purpose = p_purpose
      AND o.code_hash = p_hash AND o.expires_at > now();
    IF NOT FOUND THEN
        RETURN;
    END IF;

    UPDATE gemclone.otp_tries t SET tries = t.tries - 1 WHERE t.e164 = p_e164;

    RETURN QUERY
    INSERT INTO gemclone.sessions AS s (user_id, purpose, refresh_hash)
    SELECT u.id, p_purpose, p_refresh_hash FROM gemclone.users u WHERE u.e164 = p_e164
    RETURNING s.id, s.user_id;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.otps, gemclone.otp_tries TO gemclone;
REVOKE EXECUTE ON FUNCTION gemclone.otp_issue, gemclone.otp_verify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.otp_issue, gemclone.otp_verify TO gemclone;

COMMIT;
