-- Deploy mod_gemclone:sweep to pg
-- What is past goes, and what was forgotten is taken up again.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Removes at most p_most of a table's rows that are past, by a condition on them. Those that somebody has
-- locked go the next time.
CREATE FUNCTION gemclone.sweep_rows(p_table regclass, p_past text, p_most integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    removed bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$s t WHERE t.ctid = ANY (ARRAY(
        SELECT p.ctid FROM %1$s p WHERE %2$s LIMIT $1 FOR UPDATE SKIP LOCKED))', p_table, p_past) USING p_most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

-- Removes at most p_most rows of each kind that are past, and mends the queue. One
-- process at a time, on whatever host: no row tells that another one is at it.
--
-- What is there to look back on stays for 90 days: Stripe's events, of which Stripe itself sends
-- none again after 30, and why replies have failed.
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
    others bigint;
BEGIN
    -- The number is this function's own, as good as any other.
    IF NOT pg_try_advisory_xact_lock(7164893321) THEN
        RETURN;
    END IF;

    otps := gemclone.sweep_rows('gemclone.otps', 'expires_at < now()', p_most);
    limits := gemclone.sweep_rows('gemclone.limits', 'window_ends < now()', p_most);
    sessions := gemclone.sweep_rows('gemclone.sessions', 'expires_at < now()', p_most);
    keys := gemclone.sweep_rows('gemclone.idempotency', $p$created_at < now() - interval '24 hours'$p$, p_most);
    tickets := gemclone.sweep_rows('gemclone.tickets', 'expires_at < now()', p_most);
    others := greatest(
        -- Of sites that nobody works for.
        gemclone.sweep_rows('gemclone.deliveries', 'expires_at < now()', p_most),
        gemclone.sweep_rows('gemclone.sessions_ended', 'until < now()', p_most),
        gemclone.sweep_rows('gemclone.stripe_events',
                            $p$due_at IS NULL AND ended_at < now() - interval '90 days'$p$, p_most),
        gemclone.sweep_rows('gemclone.failures', $p$failed_at < now() - interval '90 days'$p$, p_most));

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
    more := greatest(otps, limits, sessions, keys, tickets, others, freed) >= p_most;
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.sweep_rows, gemclone.sweep FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.sweep_rows, gemclone.sweep TO gemclone;

COMMIT;
