-- Deploy mod_gemclone:job_work to pg
-- What a process does with jobs: claim, renew, stop, put off, finish, count; and the turns
-- that Gemini is to see.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Jobs of a site whose lease ended before p_before wait again, at most p_most of them. Their
-- processes were not heard of again, which is counted: a job may be what killed them. A
-- suspect (see gemclone.job_claim) was the only one of its process, and the others there are
-- not to blame.
CREATE FUNCTION gemclone.jobs_free(p_site text, p_before timestamptz, p_most integer)
RETURNS bigint
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
    freed bigint;
BEGIN
    WITH ended AS MATERIALIZED (
        SELECT j.ctid, j.worker, j.lost FROM gemclone.jobs j
        WHERE j.site = p_site AND j.worker IS NOT NULL AND j.due_at <= p_before
        ORDER BY j.due_at
        LIMIT p_most
        FOR UPDATE SKIP LOCKED
    ), blamed AS (
        SELECT e.ctid, (max(e.lost) OVER (PARTITION BY e.worker) < 2 OR e.lost >= 2)::integer AS count
        FROM ended e
    )
    UPDATE gemclone.jobs j SET worker = NULL, lost = j.lost + b.count
    FROM blamed b WHERE j.ctid = b.ctid;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END
$$;

-- Takes at most p_most jobs that are due, by their place, and gives their process a lease on
-- them. p_frees: also those whose lease has ended (not right after Postgres was away: all leases
-- have ended then, of processes that are alive and about to renew them). A job that was lost twice is a suspect: a process has one of those at a time, so that
-- the next time it is known whether it was the one.
CREATE FUNCTION gemclone.job_claim(p_site text, p_worker text, p_most integer, p_lease interval,
                                   p_frees boolean)
RETURNS TABLE (reply_id bigint, room_id uuid, user_id uuid, prompt_id bigint, fence bigint,
               tries integer, lost integer, fallback boolean, age interval, model text,
               system_prompt text, prompt text, prompt_tokens integer, cancelled boolean,
               traceparent text)
LANGUAGE plpgsql ROWS 64
-- For a number of jobs that it does not know, the planner would rather read and
-- sort a long queue than follow its index.
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    IF p_frees THEN
        PERFORM gemclone.jobs_free(p_site, now(), 1000);
    END IF;
    RETURN QUERY
    WITH suspect AS MATERIALIZED (
        SELECT j.ctid FROM gemclone.jobs j
        WHERE j.site = p_site AND j.lost >= 2 AND j.worker IS NULL AND j.due_at <= now()
        ORDER BY j.place
        LIMIT (SELECT 1 - count(*) FROM (
            SELECT FROM gemclone.jobs h
            WHERE h.site = p_site AND h.lost >= 2 AND h.worker = p_worker LIMIT 1) held)
        FOR UPDATE SKIP LOCKED
    ), waiting AS MATERIALIZED (
        SELECT j.ctid FROM gemclone.jobs j
        WHERE j.site = p_site AND j.worker IS NULL AND j.due_at IS NOT NULL AND j.due_at <= now()
          AND j.lost < 2
        ORDER BY j.place
        LIMIT p_most - (SELECT count(*) FROM suspect)
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE gemclone.jobs j
        SET worker = p_worker, due_at = now() + p_lease, fence = j.fence + 1, tries = j.tries + 1
        WHERE j.ctid = ANY (ARRAY(SELECT s.ctid FROM suspect s UNION ALL SELECT w.ctid FROM waiting w))
        RETURNING j.*
    )
    SELECT c.reply_id, c.room_id, c.user_id, a.parent_id, c.fence, c.tries, c.lost, c.fallback,
           now() - c.created_at, r.model, r.system_prompt, p.content, p.tokens, c.cancelled,
           c.traceparent
    FROM claimed c
    JOIN gemclone.chatrooms r ON r.id = c.room_id
    JOIN gemclone.messages a ON a.room_id = c.room_id AND a.id = c.reply_id
    JOIN gemclone.messages p ON p.room_id = c.room_id AND p.id = a.parent_id
    ORDER BY c.place, c.reply_id;
END
$$;

-- The turns before a reply that fit into p_tokens, newest first: a prompt and
-- the reply it got, always both. Turns whose reply failed, or was cancelled before there was
-- any of it, are not shown to Gemini, which takes no empty text. At most 500 are looked at.
CREATE FUNCTION gemclone.job_history(p_room uuid, p_reply bigint, p_tokens integer)
RETURNS TABLE (prompt text, reply text, tokens integer)
LANGUAGE sql ROWS 20 AS $$
    SELECT p.content, a.content, a.tokens
    FROM (
        SELECT t.*, sum(t.tokens) OVER (ORDER BY t.id DESC) AS total
        FROM (
            SELECT m.id, m.parent_id, m.tokens::bigint + q.tokens AS tokens
            FROM gemclone.messages m
            JOIN gemclone.messages q ON q.room_id = m.room_id AND q.id = m.parent_id
            WHERE m.room_id = p_room AND m.id < p_reply AND m.sender = 'gemini'
              AND m.status IN ('done', 'cancelled') AND octet_length(m.content) > 0 AND NOT m.superseded
            ORDER BY m.id DESC
            LIMIT 500
        ) t
    ) a_turn
    JOIN gemclone.messages p ON p.room_id = p_room AND p.id = a_turn.parent_id
    JOIN LATERAL (
        SELECT r.content, least(a_turn.tokens, 2147483647)::integer AS tokens
        FROM gemclone.messages r WHERE r.room_id = p_room AND r.id = a_turn.id
    ) a ON true
    WHERE a_turn.total <= p_tokens
    ORDER BY a_turn.id DESC
$$;

-- Extends the leases of the jobs that a process has; also one that has ended, as long as nobody
-- has freed the job (jobs_free). A row that somebody has locked is left out: that is over
-- before the lease is, and waiting for it could make a deadlock.
CREATE FUNCTION gemclone.job_renew(p_rooms uuid[], p_replies bigint[], p_fences bigint[],
                                   p_lease interval)
RETURNS void LANGUAGE sql AS $$
    WITH mine AS (
        SELECT * FROM unnest(p_rooms, p_replies, p_fences) AS m (room_id, reply_id, fence)
    ), held AS (
        SELECT j.room_id, j.reply_id
        FROM gemclone.jobs j JOIN mine m USING (room_id, reply_id, fence)
        WHERE j.worker IS NOT NULL
        FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE gemclone.jobs j SET due_at = now() + p_lease
    FROM held h WHERE j.room_id = h.room_id AND j.reply_id = h.reply_id
$$;

-- Those of the jobs that a process has which are not to go on, and why: 'cancelled' by their user;
-- 'lost': another process has the job by now; 'gone': it is not there any more, for its room or its
-- user was deleted. A standby may not know yet of what was claimed a moment ago, and tells nothing.
CREATE FUNCTION gemclone.job_stops(p_rooms uuid[], p_replies bigint[], p_fences bigint[])
RETURNS TABLE (reply_id bigint, fence bigint, why text)
LANGUAGE sql ROWS 1 AS $$
    SELECT m.reply_id, m.fence,
           CASE WHEN j.fence IS NULL THEN 'gone' WHEN j.fence <> m.fence THEN 'lost' ELSE 'cancelled' END
    FROM unnest(p_rooms, p_replies, p_fences) AS m (room_id, reply_id, fence)
    LEFT JOIN gemclone.jobs j ON j.room_id = m.room_id AND j.reply_id = m.reply_id
    WHERE (j.fence IS DISTINCT FROM m.fence OR j.cancelled) AND NOT pg_is_in_recovery()
$$;

-- Gives a job back, to be tried again after p_delay, behind those that are due before;
-- p_uncount: this try does not count (the process stops in an orderly way, or Gemini
-- was not asked). One that was cancelled meanwhile is
-- due at once: whoever takes it ends it. p_error, p_reason: why, for admins; NULL: what was known
-- before. False: it was not ours any more.
CREATE FUNCTION gemclone.job_put_off(p_room uuid, p_reply bigint, p_fence bigint,
                                     p_delay interval, p_fallback boolean, p_uncount boolean,
                                     p_error text, p_reason text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- The fence moves too: nothing that this try still reports can count.
    UPDATE gemclone.jobs j
    SET due_at = CASE WHEN j.cancelled THEN now() ELSE now() + p_delay END, worker = NULL,
        place = CASE WHEN p_delay > interval '0' THEN greatest(j.place, now() + p_delay)
                     ELSE j.place END,
        fence = j.fence + 1,
        fallback = j.fallback OR p_fallback, tries = j.tries - p_uncount::integer,
        error = coalesce(p_error, j.error), reason = CASE WHEN p_error IS NULL THEN j.reason ELSE p_reason END
    WHERE j.room_id = p_room AND j.reply_id = p_reply AND j.fence = p_fence;
    RETURN FOUND;
END
$$;

-- Stores the end of a reply, and lets the room's next one be taken.
-- p_refund gives the prompt back to the day it was charged on. p_prompt_tokens
-- is what Gemini counted for all that was sent, p_weight what of it fell on
-- this prompt alone (NULL: unknown; the estimate made at sending stays). p_reason: of a failure, a
-- word or two for admins.
--
-- outcome: 'stored'; 'late': the job is another process's by now, or gone.
-- next_due: the room's next reply became due.
CREATE FUNCTION gemclone.job_finish(
    p_room uuid, p_reply bigint, p_fence bigint, p_status text, p_content text, p_error text,
    p_error_detail text, p_finish_reason text, p_model text, p_tokens integer,
    p_prompt_tokens integer, p_cached_tokens integer, p_thought_tokens integer,
    p_weight integer, p_refund boolean, p_reason text)
RETURNS TABLE (outcome text, next_due boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_job    gemclone.jobs;
    v_refund boolean;
BEGIN
    -- The room before the job, as everybody takes them: see messages_send.
    PERFORM FROM gemclone.chatrooms r WHERE r.id = p_room FOR NO KEY UPDATE;
    DELETE FROM gemclone.jobs j
    WHERE j.room_id = p_room AND j.reply_id = p_reply AND j.fence = p_fence
    RETURNING * INTO v_job;
    IF NOT FOUND THEN
        outcome := 'late';
        next_due := false;
        RETURN NEXT;
        RETURN;
    END IF;

    UPDATE gemclone.messages m
    SET status = p_status, content = p_content, error = p_error, error_detail = p_error_detail,
        finish_reason = p_finish_reason, model = p_model, tokens = p_tokens,
        prompt_tokens = p_prompt_tokens, cached_tokens = p_cached_tokens,
        thought_tokens = p_thought_tokens, fence = p_fence, finished_at = clock_timestamp()
    WHERE m.room_id = p_room AND m.id = p_reply;

    IF p_weight IS NOT NULL THEN
        UPDATE gemclone.messages m SET tokens = p_weight
        FROM gemclone.messages r
        WHERE r.room_id = p_room AND r.id = p_reply
          AND m.room_id = p_room AND m.id = r.parent_id;
    END IF;

    v_refund := p_refund OR v_job.dropped AND p_status <> 'done';
    UPDATE gemclone.usage g
    SET prompts = greatest(g.prompts - v_refund::integer, 0),
        input_tokens = g.input_tokens + coalesce(p_prompt_tokens, 0),
        output_tokens = g.output_tokens + p_tokens + coalesce(p_thought_tokens, 0)
    WHERE g.user_id = v_job.user_id AND g.day = v_job.charged_on;

    IF p_status = 'failed' THEN
        INSERT INTO gemclone.failures
            (room_id, reply_id, user_id, site, tries, lost, error, reason, refunded, charged_on, traceparent,
             created_at)
        VALUES (p_room, p_reply, v_job.user_id, v_job.site, v_job.tries, v_job.lost, p_error, p_reason, v_refund,
                v_job.charged_on, v_job.traceparent, v_job.created_at);
    END IF;

    UPDATE gemclone.jobs j SET due_at = now()
    WHERE j.room_id = p_room AND j.due_at IS NULL
      AND j.reply_id = (SELECT min(k.reply_id) FROM gemclone.jobs k WHERE k.room_id = p_room);
    next_due := FOUND;
    outcome := 'stored';
    RETURN NEXT;
END
$$;

-- What a site's queue looks like. oldest: how long the job that is due for longest has been.
CREATE FUNCTION gemclone.jobs_count(p_site text)
RETURNS TABLE (owed bigint, generating bigint, due bigint, oldest interval)
LANGUAGE sql ROWS 1 STABLE
SET enable_seqscan = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE q.leased AND q.due_at > now()),
           count(*) FILTER (WHERE q.due_at <= now()),
           coalesce(now() - min(q.due_at) FILTER (WHERE q.due_at <= now()), interval '0')
    FROM (
        SELECT j.due_at, false AS leased FROM gemclone.jobs j
        WHERE j.site = p_site AND j.worker IS NULL AND j.due_at IS NOT NULL
        UNION ALL
        SELECT j.due_at, true FROM gemclone.jobs j
        WHERE j.site = p_site AND j.worker IS NOT NULL
        UNION ALL
        SELECT j.due_at, false FROM gemclone.jobs j
        WHERE j.site = p_site AND j.due_at IS NULL
    ) q
$$;

REVOKE EXECUTE ON FUNCTION gemclone.jobs_free, gemclone.job_claim, gemclone.job_history, gemclone.job_renew,
    gemclone.job_stops, gemclone.job_put_off, gemclone.job_finish, gemclone.jobs_count FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.jobs_free, gemclone.job_claim, gemclone.job_history, gemclone.job_renew,
    gemclone.job_stops, gemclone.job_put_off, gemclone.job_finish, gemclone.jobs_count TO gemclone;

COMMIT;
