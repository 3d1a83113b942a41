-- Deploy mod_gemclone:otps to pg
-- One-time codes, as keyed hashes, and their way to the phone. Tries are counted by number and
-- window (gemclone.limits), apart from the codes, so that asking for another code gives no more of
-- them. Unknown numbers get the same rows: what an account's existence would change in the work
-- done here, a clock could tell.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.otps (
    e164       text        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('login', 'reset_password')),
    code_hash  bytea,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (e164, purpose)
);

COMMENT ON COLUMN gemclone.otps.code_hash IS 'NULL: the gateway has made the code, and is to be asked';

CREATE INDEX otps_expiry ON gemclone.otps (expires_at);

-- Codes on their way, each until it was handed to the gateway or is good no longer.
CREATE TABLE gemclone.deliveries (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    site       text        NOT NULL,
    e164       text        NOT NULL,
    purpose    text        NOT NULL,
    sealed     bytea,
    due_at     timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    fence      bigint      NOT NULL DEFAULT 0,
    tries      integer     NOT NULL DEFAULT 0,
    is_out     boolean     NOT NULL DEFAULT false
);

COMMENT ON COLUMN gemclone.deliveries.site IS 'whose gateway is to have it: GemcloneSite';
COMMENT ON COLUMN gemclone.deliveries.sealed IS 'the code, encrypted under a key of GemcloneOTPKey; NULL: the gateway makes it';
COMMENT ON COLUMN gemclone.deliveries.due_at IS 'when it may be taken, or its lease ends';
COMMENT ON COLUMN gemclone.deliveries.is_out IS 'a process has it, or had it when it was killed: the gateway may have it too';

CREATE INDEX deliveries_due ON gemclone.deliveries (site, due_at);
CREATE INDEX deliveries_expiry ON gemclone.deliveries (expires_at);
CREATE INDEX deliveries_number ON gemclone.deliveries (e164, purpose);

-- --- Issuing ----------------------------------------------------------------

-- Stores a new code, which voids the older one of the same purpose, also where that has not been
-- delivered yet, and has it delivered for a site (NULL: nobody delivers it). Limits: see limits_take.
-- p_budget: how many may be delivered a day.
--
-- known: the number has an account. refused: the limit that is used up, until `ends`.
CREATE FUNCTION gemclone.otp_issue(p_e164 text, p_purpose text, p_hash bytea, p_lifetime interval,
                                   p_site text, p_sealed bytea, p_budget bigint,
                                   p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[])
RETURNS TABLE (known boolean, refused text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    known := EXISTS (SELECT FROM gemclone.users u WHERE u.e164 = p_e164);
    SELECT l.kind, l.window_ends INTO refused, ends FROM gemclone.limits l
    WHERE l.kind = 'otp-budget' AND l.subject = '' AND l.window_ends > now() AND l.count >= p_budget;
    IF refused IS NULL THEN
        SELECT t.kind, t.ends INTO refused, ends
        FROM gemclone.limits_take(p_kinds, p_subjects, p_most, p_windows) t;
    END IF;
    IF refused IS NULL THEN
        INSERT INTO gemclone.otps (e164, purpose, code_hash, expires_at)
        VALUES (p_e164, p_purpose, p_hash, now() + p_lifetime)
        ON CONFLICT (e164, purpose) DO UPDATE
            SET code_hash = EXCLUDED.code_hash, expires_at = EXCLUDED.expires_at;
        -- A gateway that makes the codes has one of a number, whatever it is for.
        DELETE FROM gemclone.otps o
        WHERE p_hash IS NULL AND o.e164 = p_e164 AND o.purpose <> p_purpose AND o.code_hash IS NULL;
        DELETE FROM gemclone.deliveries d
        WHERE d.e164 = p_e164 AND (d.purpose = p_purpose OR (p_hash IS NULL AND d.sealed IS NULL));
        INSERT INTO gemclone.deliveries (site, e164, purpose, sealed, expires_at)
        SELECT p_site, p_e164, p_purpose, p_sealed, now() + p_lifetime WHERE p_site IS NOT NULL;
    END IF;
    RETURN NEXT;
END
$$;

-- --- Delivering ---------------------------------------------------------------

-- Takes at most p_most codes that are due for a site. Those of numbers without an account go no
-- further, nor do those beyond p_budget a day. One that a process had which was not heard of again
-- may be with the gateway already: it is taken again only if p_repeats (the gateway knows it by its
-- id), and goes otherwise.
--
-- spent: how many were not taken because the budget is used up; 0 in rows that are to be delivered.
CREATE FUNCTION gemclone.deliveries_claim(p_site text, p_most integer, p_lease interval, p_repeats boolean,
                                          p_budget bigint)
RETURNS TABLE (id uuid, e164 text, purpose text, sealed bytea, fence bigint, tries integer, expires_at timestamptz,
               spent integer)
LANGUAGE plpgsql ROWS 16
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    d gemclone.deliveries;
    used text;
BEGIN
    FOR d IN SELECT * FROM gemclone.deliveries o WHERE o.site = p_site AND o.due_at <= now()
             ORDER BY o.due_at LIMIT p_most FOR UPDATE SKIP LOCKED
    LOOP
        used := NULL;
        IF d.expires_at <= now() OR (d.is_out AND NOT p_repeats)
           OR NOT EXISTS (SELECT FROM gemclone.users u WHERE u.e164 = d.e164) THEN
            DELETE FROM gemclone.deliveries o WHERE o.id = d.id;
            CONTINUE;
        END IF;
        IF p_budget IS NOT NULL AND d.tries = 0 THEN
            SELECT t.kind INTO used FROM gemclone.limits_take(
                ARRAY['otp-budget'], ARRAY[''], ARRAY[p_budget], ARRAY[86400000000]) t;
        END IF;
        IF used IS NOT NULL THEN
            DELETE FROM gemclone.deliveries o WHERE o.id = d.id;
            RETURN QUERY SELECT d.id, NULL::text, NULL::text, NULL::bytea, d.fence, 0, d.expires_at, 1;
            CONTINUE;
        END IF;
        RETURN QUERY UPDATE gemclone.deliveries o
            SET is_out = true, due_at = now() + p_lease, fence = o.fence + 1, tries = o.tries + 1
            WHERE o.id = d.id
            RETURNING o.id, o.e164, o.purpose, o.sealed, o.fence, o.tries, o.expires_at, 0;
    END LOOP;
END
$$;

-- --- Trying -------------------------------------------------------------------

-- What a right code gives: a session of the number's account. No row: it has none.
CREATE FUNCTION gemclone.otp_accept(p_e164 text, p_purpose text, p_session uuid, p_refresh bytea, p_access_until timestamptz,
                                    p_idle interval, p_life interval, p_client text, p_sessions integer)
RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    SELECT u.id INTO user_id FROM gemclone.users u WHERE u.e164 = p_e164;
    IF FOUND THEN
        PERFORM gemclone.session_open(p_session, user_id, p_purpose, p_refresh, p_access_until,
                                      p_idle, p_life, p_client, p_sessions);
        RETURN NEXT;
    END IF;
END
$$;

-- Tries a code. Right: it is used up. Wrong, used, expired, unknown number: a row of NULLs. The
-- limits are taken before the code is looked at; refused: the one that is used up, until `ends`. A
-- right code takes its own try back and no other: a user who signs in gives a guesser nothing.
CREATE FUNCTION gemclone.otp_verify(p_e164 text, p_purpose text, p_hash bytea,
                                    p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[],
                                    p_session uuid, p_refresh bytea, p_access_until timestamptz,
                                    p_idle interval, p_life interval, p_client text, p_sessions integer)
RETURNS TABLE (user_id uuid, refused text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    SELECT t.kind, t.ends INTO refused, ends
    FROM gemclone.limits_take(p_kinds, p_subjects, p_most, p_windows) t;
    IF refused IS NULL THEN
        -- Both sides are HMACs under a key that no client has: how far the
        -- comparison got tells nothing about a code.
        DELETE FROM gemclone.otps o
        WHERE o.e164 = p_e164 AND o.purpose = p_purpose
          AND o.code_hash = p_hash AND o.expires_at > now();
        IF FOUND THEN
            PERFORM gemclone.limits_return(p_kinds, p_subjects);
            user_id := (SELECT a.user_id FROM gemclone.otp_accept(
                p_e164, p_purpose, p_session, p_refresh, p_access_until,
                p_idle, p_life, p_client, p_sessions) a);
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- The same in two steps, where the gateway knows the code. First the try is counted. is_open: there is
-- a code for this purpose that it may know.
CREATE FUNCTION gemclone.otp_ask(p_e164 text, p_purpose text,
                                 p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[])
RETURNS TABLE (is_open boolean, refused text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    SELECT t.kind, t.ends INTO refused, ends
    FROM gemclone.limits_take(p_kinds, p_subjects, p_most, p_windows) t;
    is_open := refused IS NULL AND EXISTS (
        SELECT FROM gemclone.otps o
        WHERE o.e164 = p_e164 AND o.purpose = p_purpose AND o.code_hash IS NULL AND o.expires_at > now());
    RETURN NEXT;
END
$$;

-- Then, if the gateway has said yes. No row: another request has used the code up meanwhile.
CREATE FUNCTION gemclone.otp_confirm(p_e164 text, p_purpose text, p_kinds text[], p_subjects text[],
                                     p_session uuid, p_refresh bytea, p_access_until timestamptz,
                                     p_idle interval, p_life interval, p_client text, p_sessions integer)
RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql ROWS 1 AS $$
BEGIN
    PERFORM gemclone.limits_return(p_kinds, p_subjects); -- first: in the order in which all lock them
    DELETE FROM gemclone.otps o
    WHERE o.e164 = p_e164 AND o.purpose = p_purpose AND o.code_hash IS NULL AND o.expires_at > now();
    IF FOUND THEN
        RETURN QUERY SELECT a.user_id FROM gemclone.otp_accept(
            p_e164, p_purpose, p_session, p_refresh, p_access_until,
            p_idle, p_life, p_client, p_sessions) a;
    END IF;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.otps, gemclone.deliveries TO gemclone;
REVOKE EXECUTE ON FUNCTION gemclone.otp_issue, gemclone.deliveries_claim, gemclone.otp_accept, gemclone.otp_verify,
    gemclone.otp_ask, gemclone.otp_confirm FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.otp_issue, gemclone.deliveries_claim, gemclone.otp_accept, gemclone.otp_verify,
    gemclone.otp_ask, gemclone.otp_confirm TO gemclone;

COMMIT;
