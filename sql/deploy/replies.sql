-- Deploy mod_gemclone:replies to pg
-- What users do with a reply that is owed, or was given: cancel it, or have
-- another one in its place.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Stops a reply. outcome:
--   'cancelled'  it has ended now: no process had it
--   'asked'      the process that has it was told, and ends it within a second
--   'over'       it had ended before; status tells how
-- No row: missing, somebody else's, or no reply. next_due: the room's next reply became due.
CREATE FUNCTION gemclone.reply_cancel(p_user uuid, p_room uuid, p_reply bigint)
RETURNS TABLE (outcome text, status text, next_due boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_job gemclone.jobs;
BEGIN
    PERFORM FROM gemclone.chatrooms r WHERE r.id = p_room AND r.user_id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    next_due := false;
    SELECT * INTO v_job FROM gemclone.jobs j
    WHERE j.room_id = p_room AND j.reply_id = p_reply FOR UPDATE;
    IF NOT FOUND THEN
        SELECT m.status INTO status FROM gemclone.messages m
        WHERE m.room_id = p_room AND m.id = p_reply AND m.sender = 'gemini';
        IF FOUND THEN
            outcome := 'over';
            RETURN NEXT;
        END IF;
    ELSIF v_job.worker IS NOT NULL AND v_job.due_at > now() THEN
        UPDATE gemclone.jobs j SET cancelled = true
        WHERE j.room_id = p_room AND j.reply_id = p_reply;
        outcome := 'asked';
        status := 'generating';
        RETURN NEXT;
    ELSE
        SELECT f.next_due INTO next_due
        FROM gemclone.job_finish(p_room, p_reply, v_job.fence, 'cancelled', '', NULL, NULL, NULL,
                                 NULL, 0, NULL, NULL, NULL, NULL, false, NULL) f;
        outcome := 'cancelled';
        status := 'cancelled';
        RETURN NEXT;
    END IF;
END
$$;

-- Puts a new reply in the place of a room's last one, which stays as an older
-- version. Charged like a prompt; p_key, p_basic, p_pro and p_owed are as in messages_send;
-- p_trace is a traceparent, or NULL.
--
-- outcome: 'sent'; 'replayed'; 'no_room' (room or reply is missing, or somebody
-- else's); 'quota'; 'owed'; 'key_reused'; 'not_last' (the reply is not the room's last,
-- or not over).
CREATE FUNCTION gemclone.reply_regenerate(
    p_user uuid, p_room uuid, p_reply bigint, p_key text, p_fingerprint bytea, p_trace text, p_site text,
    p_basic integer, p_pro integer, p_owed integer)
RETURNS TABLE (outcome text, prompt_id bigint, reply_id bigint, sent_at timestamptz,
               prompts_used integer, prompts_limit integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    v_old gemclone.messages;
    v_key gemclone.idempotency;
    owed  bigint;
BEGIN
    -- Rooms, then keys, then usage: the order in which everybody takes them.
    SELECT CASE gemclone.tier_of(u.tier, u.paid_until) WHEN 'pro' THEN p_pro ELSE p_basic END INTO prompts_limit
    FROM gemclone.chatrooms r JOIN gemclone.users u ON u.id = r.user_id
    WHERE r.id = p_room AND r.user_id = p_user FOR NO KEY UPDATE OF r;
    IF FOUND THEN
        SELECT * INTO v_old FROM gemclone.messages m
        WHERE m.room_id = p_room AND m.id = p_reply AND m.sender = 'gemini';
    END IF;
    IF v_old.id IS NULL THEN
        outcome := 'no_room';
        prompts_limit := NULL; -- nothing here tells a missing one from another's
        RETURN NEXT;
        RETURN;
    END IF;
    prompt_id := v_old.parent_id;

    IF p_key IS NOT NULL THEN
        outcome := gemclone.key_take(p_user, p_key, p_fingerprint);
        IF outcome IS NOT NULL THEN
            SELECT * INTO v_key FROM gemclone.idempotency i
            WHERE i.user_id = p_user AND i.key = p_key;
            reply_id := (v_key.answer ->> 'reply_id')::bigint;
            sent_at := v_key.created_at;
            prompts_used := (SELECT g.prompts FROM gemclone.usage g
                             WHERE g.user_id = p_user AND g.day = today);
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;

    IF v_old.superseded
       OR EXISTS (SELECT FROM gemclone.jobs j WHERE j.room_id = p_room)
       OR EXISTS (SELECT FROM gemclone.messages m WHERE m.room_id = p_room AND m.id > p_reply) THEN
        outcome := 'not_last';
    ELSE
        INSERT INTO gemclone.usage AS g (user_id, day, prompts) VALUES (p_user, today, 1)
        ON CONFLICT (user_id, day) DO UPDATE SET prompts = g.prompts + 1
            WHERE prompts_limit IS NULL OR g.prompts < prompts_limit
        RETURNING g.prompts INTO prompts_used;
        IF prompts_used IS NULL OR prompts_used > prompts_limit THEN
            outcome := 'quota';
        ELSE
            owed := (SELECT count(*) FROM gemclone.jobs j WHERE j.user_id = p_user);
            IF owed >= p_owed THEN
                outcome := 'owed';
            END IF;
        END IF;
    END IF;
    IF outcome IS NOT NULL THEN
        -- A limit of 0 lets even the first one in above.
        UPDATE gemclone.usage g SET prompts = g.prompts - 1
        WHERE outcome IN ('quota', 'owed') AND prompts_used IS NOT NULL
          AND g.user_id = p_user AND g.day = today;
        prompts_used := CASE outcome
            WHEN 'owed' THEN prompts_used - 1
            WHEN 'quota' THEN prompts_limit
            ELSE coalesce((SELECT g.prompts FROM gemclone.usage g WHERE g.user_id = p_user AND g.day = today), 0)
        END;
        DELETE FROM gemclone.idempotency i WHERE i.user_id = p_user AND i.key = p_key;
        RETURN NEXT;
        RETURN;
    END IF;

    UPDATE gemclone.messages m SET superseded = true WHERE m.room_id = p_room AND m.id = p_reply;
    INSERT INTO gemclone.messages AS m (room_id, parent_id, sender, status, content, tokens)
    VALUES (p_room, v_old.parent_id, 'gemini', 'pending', '', 0)
    RETURNING m.id, m.created_at INTO reply_id, sent_at;
    INSERT INTO gemclone.jobs (reply_id, room_id, user_id, site, place, due_at, charged_on, traceparent)
    VALUES (reply_id, p_room, p_user, p_site, now() + owed * interval '1 second', now(), today, p_trace);
    UPDATE gemclone.idempotency i
    SET answer = jsonb_build_object('message_id', prompt_id, 'reply_id', reply_id)
    WHERE i.user_id = p_user AND i.key = p_key;
    outcome := 'sent';
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.reply_cancel, gemclone.reply_regenerate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.reply_cancel, gemclone.reply_regenerate TO gemclone;

COMMIT;
