-- Deploy mod_gemclone:passwords to pg
-- Signing in by password, and changing it. Passwords are hashed by the module (Argon2id), between
-- two statements: the first counts the try and reads the hash, the second stores what comes of it.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Counts a try, of an account by its number or its id, and tells the hash to try. A subject that is
-- NULL stands for the account's number. refused: the limit that is used up, until `ends`.
CREATE FUNCTION gemclone.password_try(p_user uuid, p_e164 text,
                                      p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[])
RETURNS TABLE (user_id uuid, e164 text, password_hash text, refused text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    SELECT u.id, u.e164, u.password_hash INTO user_id, e164, password_hash FROM gemclone.users u
    WHERE CASE WHEN p_user IS NULL THEN u.e164 = p_e164 ELSE u.id = p_user END;
    e164 := coalesce(e164, p_e164, '');
    SELECT t.kind, t.ends INTO refused, ends
    FROM gemclone.limits_take(p_kinds, array_replace(p_subjects, NULL, e164), p_most, p_windows) t;
    RETURN NEXT;
END
$$;

-- The password was right: the try is given back, and a session opened. p_better: the same
-- password's hash at today's cost, or NULL. No row: it was changed meanwhile.
CREATE FUNCTION gemclone.password_accept(p_user uuid, p_hash text, p_better text, p_kinds text[], p_subjects text[],
                                         p_session uuid, p_refresh bytea, p_access_until timestamptz,
                                         p_idle interval, p_life interval, p_client text, p_sessions integer)
RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    SELECT u.id INTO user_id FROM gemclone.users u WHERE u.id = p_user AND u.password_hash = p_hash FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE gemclone.users u SET password_hash = p_better WHERE u.id = p_user AND p_better IS NOT NULL;
    PERFORM gemclone.limits_return(p_kinds, p_subjects);
    PERFORM gemclone.session_open(p_session, p_user, 'login', p_refresh, p_access_until,
                                  p_idle, p_life, p_client, p_sessions);
    RETURN NEXT;
END
$$;

-- Sets a password in the place of the one that was tried (p_old, NULL: there was none), or of
-- whichever there is (p_resets). All other sessions of the user end, and of a reset its own as well;
-- codes that are on their way are void, and what was counted against the account is forgotten. The
-- try at the old password, which was right, is given back.
--
-- outcome: 'changed'; 'ended': the session has ended meanwhile; 'raced': another request was first.
CREATE FUNCTION gemclone.password_set(p_user uuid, p_session uuid, p_resets boolean, p_old text, p_new text,
                                      p_kinds text[], p_subjects text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_e164 text;
BEGIN
    PERFORM FROM gemclone.users u WHERE u.id = p_user FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM gemclone.sessions s WHERE s.id = p_session AND s.user_id = p_user) THEN
        RETURN 'ended';
    END IF;
    UPDATE gemclone.users u SET password_hash = p_new
    WHERE u.id = p_user AND (p_resets OR u.password_hash IS NOT DISTINCT FROM p_old)
    RETURNING u.e164 INTO v_e164;
    IF NOT FOUND THEN
        RETURN 'raced';
    END IF;
    -- In the order in which signing in takes them.
    PERFORM gemclone.limits_return(p_kinds, p_subjects);
    DELETE FROM gemclone.limits l WHERE l.kind = 'password' AND l.subject = v_e164;
    DELETE FROM gemclone.otps o WHERE o.e164 = v_e164;
    DELETE FROM gemclone.deliveries d WHERE d.e164 = v_e164;
    DELETE FROM gemclone.sessions s WHERE s.user_id = p_user AND (p_resets OR s.id <> p_session);
    RETURN 'changed';
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.password_try, gemclone.password_accept, gemclone.password_set FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.password_try, gemclone.password_accept, gemclone.password_set TO gemclone;

COMMIT;
