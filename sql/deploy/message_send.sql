-- Deploy mod_gemclone:message_send to pg
-- A prompt is accepted: ownership, idempotency, quota, the prompt's row, the
-- reply's row and the job's, in one statement and so in one transaction.
--
-- p_basic, p_pro  prompts a UTC day for users of that tier; NULL: no limit
-- p_key           an Idempotency-Key, or NULL; p_fingerprint goes with it
--
-- outcome: 'sent'; 'replayed' (the key's first answer); 'no_room'; 'quota';
-- 'key_reused' (the key came with another request before). prompts_used and
-- prompts_limit are today's, where known.

BEGIN;

CREATE FUNCTION gemclone.message_send(
    p_user uuid, p_room uuid, p_content text, p_tokens integer, p_site text,
    p_basic integer, p_pro integer, p_key text, p_fingerprint bytea)
RETURNS TABLE (outcome text, message_id bigint, reply_id bigint, sent_at timestamptz,
               prompts_used integer, prompts_limit integer)
LANGUAGE plpgsql AS $$
DECLARE
    today   CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    v_tier  text;
    v_known gemclone.idempotency;
BEGIN
    -- The lock orders the prompts of a room, and keeps the end of an earlier
    -- reply from missing the job that is to follow it.
    SELECT u.tier INTO v_tier
    FROM gemclone.chatrooms r JOIN gemclone.users u ON u.id = r.user_id
    WHERE r.id = p_room AND r.user_id = p_user
    FOR NO KEY UPDATE OF r;
    IF NOT FOUND THEN
        outcome := 'no_room';
        RETURN NEXT;
        RETURN;
    END IF;
    prompts_limit := CASE v_tier WHEN 'pro' THEN p_pro ELSE p_basic END;

    IF p_key IS NOT NULL THEN
        DELETE FROM gemclone.idempotency i
        WHERE i.user_id = p_user AND i.key = p_key AND i.created_at < now() - interval '24 hours';
        INSERT INTO gemclone.idempotency (user_id, key, fingerprint)
        VALUES (p_user, p_key, p_fingerprint) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO v_known FROM gemclone.idempotency i
            WHERE i.user_id = p_user AND i.key = p_key;
            outcome := CASE WHEN v_known.fingerprint = p_fingerprint
                            THEN 'replayed' ELSE 'key_reused' END;
            message_id := v_known.answer ->> 'message_id';
            reply_id := v_known.answer ->> 'reply_id';
            sent_at := v_known.created_at;
            SELECT g.prompts INTO prompts_used FROM gemclone.usage g
            WHERE g.user_id = p_user AND g.day = today;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;

    -- The row lock of the upsert lets no two prompts take the same last one.
    INSERT INTO gemclone.usage AS g (user_id, day, prompts)
    SELECT p_user, today, 1 WHERE prompts_limit IS NULL OR prompts_limit > 0
    ON CONFLICT (user_id, day) DO UPDATE SET prompts = g.prompts + 1
        WHERE prompts_limit IS NULL OR g.prompts < prompts_limit
    RETURNING g.prompts INTO prompts_used;
    IF prompts_used IS NULL THEN
        -- A prompt that was refused may be sent again under its key.
        DELETE FROM gemclone.idempotency i WHERE i.user_id = p_user AND i.key = p_key;
        outcome := 'quota';
        prompts_used := prompts_limit;
        RETURN NEXT;
        RETURN;
    END IF;

    outcome := 'sent';
    message_id := nextval('gemclone.message_id');
    reply_id := nextval('gemclone.message_id');
    sent_at := now();

    INSERT INTO gemclone.messages (room_id, id, parent_id, sender, status, content, tokens)
    VALUES (p_room, message_id, NULL, 'user', 'done', p_content, p_tokens),
           (p_room, reply_id, message_id, 'gemini', 'pending', '', 0);

    INSERT INTO gemclone.jobs (reply_id, room_id, user_id, site, due_at, charged_on)
    SELECT message_send.reply_id, p_room, p_user, p_site,
           CASE WHEN EXISTS (SELECT FROM gemclone.jobs j WHERE j.room_id = p_room)
                THEN NULL ELSE now() END,
           today;

    IF p_key IS NOT NULL THEN
        UPDATE gemclone.idempotency i
        SET answer = jsonb_build_object('message_id', message_id, 'reply_id', message_send.reply_id)
        WHERE i.user_id = p_user AND i.key = p_key;
    END IF;
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.message_send FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.message_send TO gemclone;

COMMIT;
