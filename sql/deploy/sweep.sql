-- Deploy mod_gemclone:sweep to pg
-- What is past goes, and what was forgotten is taken up again.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Removes at most p_most rows of each kind that are past, and mends the queue. One
-- process at a time, on whatever host: no row tells that another one is at it.
--
-- freed: jobs whose process is gone and that nobody has taken since, and jobs that wait for
-- an earlier reply of their room which is not owed any more (somebody has deleted its job by hand).
-- more: there was more than p_most of something.
CREATE FUNCTION gemclone.sweep(p_most integer)
RETURNS TABLE (otps bigint, limits bigint, sessions bigint, keys bigint, tickets bigint, freed bigint, more boolean)
LANGUAGE plpgsql
-- Small parts of tables that may be large.
SET enable_seqscan = off AS $$
DECLARE
    forgotten bigint;
    gone bigint;
BEGIN
    -- The number is this function's own, as good as any other.
    IF NOT pg_try_advisory_xact_lock(7164893321) THEN
        RETURN;
    END IF;

    DELETE FROM gemclone.otps o WHERE o.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.otps p WHERE p.expires_at < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS otps = ROW_COUNT;
    -- Of sites that nobody works for.
    DELETE FROM gemclone.deliveries d WHERE d.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.deliveries p WHERE p.expires_at < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    DELETE FROM gemclone.limits l WHERE l.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.limits p WHERE p.window_ends < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS limits = ROW_COUNT;
    DELETE FROM gemclone.sessions s WHERE s.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.sessions p WHERE p.expires_at < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS sessions = ROW_COUNT;
    DELETE FROM gemclone.sessions_ended e WHERE e.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.sessions_ended p WHERE p.until < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM gemclone.idempotency i WHERE i.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.idempotency p WHERE p.created_at < now() - interval '24 hours'
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS keys = ROW_COUNT;
    DELETE FROM gemclone.tickets t WHERE t.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.tickets p WHERE p.expires_at < now()
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS tickets = ROW_COUNT;

    -- Of sites that nobody works for at the moment: whoever does frees them when he claims. Should
    -- a process be alive after all and be the first to report, that counts: the fence stays.
    freed := (SELECT coalesce(sum(gemclone.jobs_free(l.site, now() - interval '1 minute', p_most)), 0)
              FROM (SELECT DISTINCT j.site FROM gemclone.jobs j
                    WHERE j.worker IS NOT NULL AND j.due_at < now() - interval '1 minute') l);
    UPDATE gemclone.jobs j SET due_at = now()
    WHERE j.ctid = ANY (ARRAY(
        SELECT p.ctid FROM gemclone.jobs p
        WHERE p.due_at IS NULL
          AND NOT EXISTS (SELECT FROM gemclone.jobs e
                          WHERE e.room_id = p.room_id AND e.reply_id < p.reply_id)
        LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    freed := freed + forgotten;
    more := greatest(otps, limits, sessions, gone, keys, tickets, freed) >= p_most;
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.sweep FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.sweep TO gemclone;

COMMIT;
