-- Deploy mod_gemclone:admin to pg
-- What admins see of the queue and do with it: have replies tried again, or drop them. By site, as a process
-- does: nobody reaches into the queue of another one.
--
-- No row: the site has no such reply. Rooms are locked before jobs, and those before usage, as
-- everybody does: see messages_send.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- outcome:
--   'due'       it waited for its next try, and need not any more
--   'queued'    it had failed, and is owed again. What was given back to the quota is charged once
--               more, today, whether or not anything is left of it
--   'running'   a process has it
--   'behind'    it waits for an earlier reply of its room
--   'not_last'  it has failed, but its chat went on, or another reply stands in its place
--   'over'      it has ended otherwise
CREATE FUNCTION gemclone.job_retry(p_site text, p_room uuid, p_reply bigint)
RETURNS TABLE (outcome text, user_id uuid)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    v_job gemclone.jobs;
    v_failure gemclone.failures;
    v_fence bigint;
BEGIN
    PERFORM FROM gemclone.chatrooms r WHERE r.id = p_room FOR NO KEY UPDATE;
    SELECT * INTO v_job FROM gemclone.jobs j
    WHERE j.room_id = p_room AND j.reply_id = p_reply AND j.site = p_site FOR UPDATE;
    IF FOUND THEN
        user_id := v_job.user_id;
        outcome := CASE WHEN v_job.worker IS NOT NULL THEN 'running'
                        WHEN v_job.due_at IS NULL THEN 'behind'
                        ELSE 'due' END;
        UPDATE gemclone.jobs j SET due_at = least(j.due_at, now()), place = least(j.place, now())
        WHERE outcome = 'due' AND j.room_id = p_room AND j.reply_id = p_reply;
        RETURN NEXT;
        RETURN;
    END IF;

    SELECT * INTO v_failure FROM gemclone.failures f
    WHERE f.room_id = p_room AND f.reply_id = p_reply AND f.site = p_site;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM gemclone.messages m
                   WHERE m.room_id = p_room AND m.id = p_reply AND m.sender = 'gemini')
           AND NOT EXISTS (SELECT FROM gemclone.jobs j WHERE j.room_id = p_room AND j.reply_id = p_reply)
           AND NOT EXISTS (SELECT FROM gemclone.failures f WHERE f.room_id = p_room AND f.reply_id = p_reply) THEN
            outcome := 'over';
            RETURN NEXT;
        END IF;
        RETURN;
    END IF;
    user_id := v_failure.user_id;
    IF EXISTS (SELECT FROM gemclone.messages m WHERE m.room_id = p_room AND m.id > p_reply)
       OR EXISTS (SELECT FROM gemclone.jobs j WHERE j.room_id = p_room) THEN
        outcome := 'not_last';
        RETURN NEXT;
        RETURN;
    END IF;

    UPDATE gemclone.messages m
    SET status = 'pending', content = '', error = NULL, error_detail = NULL, finish_reason = NULL, model = NULL,
        tokens = 0, prompt_tokens = NULL, cached_tokens = NULL, thought_tokens = NULL, finished_at = NULL
    WHERE m.room_id = p_room AND m.id = p_reply
    RETURNING m.fence INTO v_fence;
    INSERT INTO gemclone.usage AS g (user_id, day, prompts)
    SELECT v_failure.user_id, today, 1 WHERE v_failure.refunded
    ON CONFLICT (user_id, day) DO UPDATE SET prompts = g.prompts + 1;
    -- The fence goes on: readers may have text of a try that is void.
    INSERT INTO gemclone.jobs (room_id, reply_id, user_id, site, due_at, fence, error, reason, traceparent, charged_on)
    VALUES (p_room, p_reply, v_failure.user_id, p_site, now(), v_fence, v_failure.error, v_failure.reason,
            v_failure.traceparent, CASE WHEN v_failure.refunded THEN today ELSE v_failure.charged_on END);
    DELETE FROM gemclone.failures f WHERE f.room_id = p_room AND f.reply_id = p_reply;
    outcome := 'queued';
    RETURN NEXT;
END
$$;

-- Ends a reply that is owed as cancelled, and gives its prompt back. outcome:
--   'dropped'  it has ended by this: no process had it
--   'asked'    the process that has it was told, and ends it within a second
--   'over'     it had ended before
-- next_due: the room's next reply became due.
CREATE FUNCTION gemclone.job_drop(p_site text, p_room uuid, p_reply bigint)
RETURNS TABLE (outcome text, user_id uuid, next_due boolean)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
    v_job gemclone.jobs;
BEGIN
    next_due := false;
    PERFORM FROM gemclone.chatrooms r WHERE r.id = p_room FOR NO KEY UPDATE;
    SELECT * INTO v_job FROM gemclone.jobs j
    WHERE j.room_id = p_room AND j.reply_id = p_reply FOR UPDATE;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM gemclone.messages m
                   WHERE m.room_id = p_room AND m.id = p_reply AND m.sender = 'gemini') THEN
            outcome := 'over';
            RETURN NEXT;
        END IF;
    ELSIF v_job.site = p_site THEN
        user_id := v_job.user_id;
        IF v_job.worker IS NOT NULL AND v_job.due_at > now() THEN
            UPDATE gemclone.jobs j SET cancelled = true, dropped = true
            WHERE j.room_id = p_room AND j.reply_id = p_reply;
            outcome := 'asked';
        ELSE
            SELECT f.next_due INTO next_due
            FROM gemclone.job_finish(p_room, p_reply, v_job.fence, 'cancelled', '', NULL, NULL, NULL,
                                     NULL, 0, NULL, NULL, NULL, NULL, true, NULL) f;
            outcome := 'dropped';
        END IF;
        RETURN NEXT;
    END IF;
END
$$;

-- How many replies of a site have failed within a day.
CREATE FUNCTION gemclone.failures_count(p_site text)
RETURNS bigint LANGUAGE sql STABLE
SET enable_seqscan = off AS $$
    SELECT count(*) FROM gemclone.failures f WHERE f.site = p_site AND f.failed_at > now() - interval '1 day'
$$;

REVOKE EXECUTE ON FUNCTION gemclone.job_retry, gemclone.job_drop, gemclone.failures_count FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.job_retry, gemclone.job_drop, gemclone.failures_count TO gemclone;

COMMIT;
