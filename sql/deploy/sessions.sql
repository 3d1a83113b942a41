-- Deploy mod_gemclone:sessions to pg
-- What an access token's sid names: from a sign-in until it is ended, or not used for too long.
-- A session that has ended has no row any more.
--
-- A refresh token is kept as its hash only, and each use makes another one of it. The one before
-- is remembered for a moment: of two tabs that come with it together both get the same successor.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.sessions (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    purpose       text        NOT NULL CHECK (purpose IN ('login', 'reset_password')),
    refresh_hash  bytea,
    previous_hash bytea,
    used_at       timestamptz NOT NULL DEFAULT now(),
    access_until  timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    client        text,
    created_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gemclone.sessions.refresh_hash IS 'NULL: it cannot be refreshed (reset_password)';
COMMENT ON COLUMN gemclone.sessions.used_at IS 'the sign-in, or when it was refreshed last';
COMMENT ON COLUMN gemclone.sessions.access_until IS 'when the last of its access tokens expires';
COMMENT ON COLUMN gemclone.sessions.expires_at IS 'when it ends unless it is refreshed before';
COMMENT ON COLUMN gemclone.sessions.ends_at IS 'when it ends however often it is refreshed';
COMMENT ON COLUMN gemclone.sessions.client IS 'the User-Agent that signed in, for its owner to tell sessions apart';

CREATE INDEX sessions_user ON gemclone.sessions (user_id, used_at);
CREATE INDEX sessions_expiry ON gemclone.sessions (expires_at);

-- Whose access tokens are still good by themselves: what every process is to know of (see
-- SESSIONS_ENDED in statement_list.h). A row is of no use any more after `until`.
CREATE TABLE gemclone.sessions_ended (
    id       uuid        PRIMARY KEY,
    until    timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX sessions_ended_at ON gemclone.sessions_ended (ended_at);
CREATE INDEX sessions_ended_until ON gemclone.sessions_ended (until);

-- However a session's row goes: by the module, with its user, or by an admin's hand.
CREATE FUNCTION gemclone.sessions_note_ended()
RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gemclone.sessions_ended (id, until)
    SELECT g.id, g.access_until FROM gone g WHERE g.access_until > now()
    ON CONFLICT (id) DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER sessions_ended AFTER DELETE ON gemclone.sessions
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
    EXECUTE FUNCTION gemclone.sessions_note_ended();

-- Opens one; of a user with more than p_most, those go that were not used for longest.
-- p_idle, p_life: how long it lasts unused, and at all.
CREATE FUNCTION gemclone.session_open(p_id uuid, p_user uuid, p_purpose text, p_refresh bytea,
                                      p_access_until timestamptz, p_idle interval, p_life interval,
                                      p_client text, p_most integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gemclone.sessions (id, user_id, purpose, refresh_hash, access_until, expires_at, ends_at, client)
    VALUES (p_id, p_user, p_purpose, p_refresh, p_access_until, now() + least(p_idle, p_life), now() + p_life,
            p_client);
    DELETE FROM gemclone.sessions s WHERE s.id IN (
        SELECT o.id FROM gemclone.sessions o WHERE o.user_id = p_user
        ORDER BY o.used_at DESC OFFSET p_most);
END
$$;

-- A refresh token's hash (p_hash) against what the session has.
--
-- outcome: 'refreshed': p_next is its successor's hash from now on, or since a moment ago (p_reuse)
--                       when another request came with the same token;
--          'reused':    it was used before, and is ours (p_genuine): somebody has a copy. The
--                       session has ended;
--          'over':      the session has outlived itself;
-- and no row: there is no such session, or the token is not one of its.
-- granted: until when the access token is good that is asked for (p_access_until): no longer than the
-- session.
CREATE FUNCTION gemclone.session_refresh(p_id uuid, p_hash bytea, p_next bytea, p_genuine boolean,
                                         p_reuse interval, p_access_until timestamptz, p_idle interval)
RETURNS TABLE (outcome text, user_id uuid, granted timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
DECLARE
    s gemclone.sessions;
BEGIN
    SELECT * INTO s FROM gemclone.sessions o WHERE o.id = p_id AND o.refresh_hash IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    user_id := s.user_id;
    granted := least(p_access_until, s.expires_at);
    IF s.expires_at <= now() THEN
        outcome := 'over';
    ELSIF s.refresh_hash = p_hash THEN
        outcome := 'refreshed';
        granted := least(p_access_until, now() + p_idle, s.ends_at);
        UPDATE gemclone.sessions o
        SET refresh_hash = p_next, previous_hash = p_hash, used_at = now(),
            access_until = greatest(o.access_until, granted), expires_at = least(now() + p_idle, o.ends_at)
        WHERE o.id = p_id;
    ELSIF s.previous_hash = p_hash AND s.refresh_hash = p_next
          AND p_reuse > interval '0' AND s.used_at + p_reuse > now() THEN
        outcome := 'refreshed';
        UPDATE gemclone.sessions o SET access_until = greatest(o.access_until, granted) WHERE o.id = p_id;
    ELSIF p_genuine THEN
        outcome := 'reused';
    ELSE
        RETURN;
    END IF;
    IF outcome <> 'refreshed' THEN
        DELETE FROM gemclone.sessions o WHERE o.id = p_id;
    END IF;
    RETURN NEXT;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.sessions, gemclone.sessions_ended TO gemclone;
REVOKE EXECUTE ON FUNCTION gemclone.session_open, gemclone.session_refresh, gemclone.sessions_note_ended FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.session_open, gemclone.session_refresh, gemclone.sessions_note_ended TO gemclone;

COMMIT;
