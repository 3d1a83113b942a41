-- Deploy mod_gemclone:messages_send to pg
-- Prompts are accepted: ownership, idempotency, quota, the prompts' rows, the
-- replies' rows and the jobs', in one statement and so in one transaction.
--
-- Several prompts come at once when several requests are at work, as a group
-- commit: each array has one element a prompt, and each prompt fares as if it
-- had come alone, after those before it.
--
-- p_keys          an Idempotency-Key each, or NULL; p_fingerprints go with them
-- p_traces        a traceparent each, or NULL: see jobs
-- p_basic, p_pro  prompts a UTC day for users of that tier; NULL: no limit
-- p_owed          replies that a user may be owed at once; NULL: no limit
-- p_waits         for rooms that somebody has locked; else their prompts are 'busy'
--
-- One row for each prompt, n its place (from 1). outcome: 'sent'; 'replayed'
-- (the key's first answer); 'no_room'; 'quota'; 'owed' (see p_owed); 'key_reused' (the
-- key came with another request before); 'busy' (see p_waits). prompts_used and prompts_limit are today's, where known.
--
-- Locks are taken in one order by everybody, and sorted: rooms, then jobs, then
-- keys, then usage. Nobody waits in a circle.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE FUNCTION gemclone.messages_send(
    p_users uuid[], p_rooms uuid[], p_contents text[], p_tokens integer[], p_keys text[],
    p_fingerprints bytea[], p_traces text[], p_site text, p_basic integer, p_pro integer,
    p_owed integer, p_waits boolean)
RETURNS TABLE (n integer, outcome text, message_id bigint, reply_id bigint, sent_at timestamptz,
               prompts_used integer, prompts_limit integer)
LANGUAGE plpgsql ROWS 64
-- Planning these statements anew for each call costs more than running them.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    today    CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    keyed    CONSTANT boolean := array_remove(p_keys, NULL) <> '{}';
    outcomes text[] := array_fill('no_room'::text, ARRAY[cardinality(p_users)]);
    limits   integer[] := array_fill(NULL::integer, ARRAY[cardinality(p_users)]);
    used     integer[] := array_fill(NULL::integer, ARRAY[cardinality(p_users)]);
    ahead    bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_users)]);
    over     boolean := false;
    v        record;
BEGIN
    -- The lock orders the prompts of a room, and keeps the end of an earlier
    -- reply from missing the job that is to follow it.
    IF p_waits THEN
        PERFORM FROM unnest(p_users, p_rooms) AS b (user_id, room_id)
        JOIN gemclone.chatrooms r ON r.id = b.room_id AND r.user_id = b.user_id
        ORDER BY r.id FOR NO KEY UPDATE OF r;
    END IF;
    FOR v IN
        SELECT b.n, gemclone.tier_of(u.tier, u.paid_until) AS tier
        FROM unnest(p_users, p_rooms) WITH ORDINALITY AS b (user_id, room_id, n)
        JOIN gemclone.chatrooms r ON r.id = b.room_id AND r.user_id = b.user_id
        JOIN gemclone.users u ON u.id = b.user_id
        ORDER BY r.id
        FOR NO KEY UPDATE OF r SKIP LOCKED
    LOOP
        outcomes[v.n] := 'sent';
        limits[v.n] := CASE v.tier WHEN 'pro' THEN p_pro ELSE p_basic END;
    END LOOP;
    IF 'no_room' = ANY (outcomes) THEN
        FOR v IN
            SELECT b.n FROM unnest(p_users, p_rooms, outcomes)
                WITH ORDINALITY AS b (user_id, room_id, outcome, n)
            JOIN gemclone.chatrooms r ON r.id = b.room_id AND r.user_id = b.user_id
            WHERE b.outcome = 'no_room'
        LOOP
            outcomes[v.n] := 'busy';
        END LOOP;
    END IF;

    IF keyed THEN
        FOR v IN
            SELECT b.* FROM unnest(p_users, p_keys, p_fingerprints, outcomes)
                WITH ORDINALITY AS b (user_id, key, fingerprint, outcome, n)
            WHERE b.key IS NOT NULL AND b.outcome = 'sent'
            ORDER BY b.user_id, b.key, b.n
        LOOP
            outcomes[v.n] := coalesce(gemclone.key_take(v.user_id, v.key, v.fingerprint), 'sent');
        END LOOP;
    END IF;

    -- The row locks of the upsert let no two prompts take the same last one.
    FOR v IN
        WITH asked AS (
            SELECT b.user_id, b.n
            FROM unnest(p_users, outcomes) WITH ORDINALITY AS b (user_id, outcome, n)
            WHERE b.outcome = 'sent'
        ), charged AS (
            INSERT INTO gemclone.usage AS g (user_id, day, prompts)
            SELECT a.user_id, today, count(*) FROM asked a GROUP BY a.user_id ORDER BY a.user_id
            ON CONFLICT (user_id, day) DO UPDATE SET prompts = g.prompts + EXCLUDED.prompts
            RETURNING g.user_id, g.prompts
        )
        SELECT a.n, c.prompts - count(*) OVER w + row_number() OVER (w ORDER BY a.n) AS used
        FROM asked a JOIN charged c ON c.user_id = a.user_id
        WINDOW w AS (PARTITION BY a.user_id)
    LOOP
        used[v.n] := v.used;
        IF v.used > limits[v.n] THEN
            outcomes[v.n] := 'quota';
            used[v.n] := limits[v.n];
            over := true;
        END IF;
    END LOOP;

    -- Under the lock on a user's day, nobody else adds to what the user is owed.
    FOR v IN
        WITH asked AS (
            SELECT b.user_id, b.n
            FROM unnest(p_users, outcomes) WITH ORDINALITY AS b (user_id, outcome, n)
            WHERE b.outcome = 'sent'
        )
        SELECT a.n, o.owed + row_number() OVER (PARTITION BY a.user_id ORDER BY a.n) - 1 AS ahead
        FROM asked a
        JOIN (SELECT u.user_id, (SELECT count(*) FROM gemclone.jobs j WHERE j.user_id = u.user_id) AS owed
              FROM (SELECT DISTINCT a.user_id FROM asked a) u) o ON o.user_id = a.user_id
    LOOP
        ahead[v.n] := v.ahead;
        IF v.ahead >= p_owed THEN
            outcomes[v.n] := 'owed';
            used[v.n] := used[v.n] - 1;
            over := true;
        END IF;
    END LOOP;

    IF over THEN
        UPDATE gemclone.usage g SET prompts = g.prompts - b.refused
        FROM (SELECT a.user_id, count(*) AS refused
              FROM unnest(p_users, outcomes) AS a (user_id, outcome)
              WHERE a.outcome IN ('quota', 'owed') GROUP BY a.user_id) b
        WHERE g.user_id = b.user_id AND g.day = today;
        -- A prompt that was refused may be sent again under its key.
        DELETE FROM gemclone.idempotency i
        USING unnest(p_users, p_keys, outcomes) AS b (user_id, key, outcome)
        WHERE b.outcome IN ('quota', 'owed') AND i.user_id = b.user_id AND i.key = b.key;
    END IF;

    RETURN QUERY
    WITH b AS MATERIALIZED (
        SELECT a.n, a.room_id, a.user_id, a.content, a.tokens, a.key, a.trace, a.ahead,
               nextval('gemclone.message_id') AS message_id,
               nextval('gemclone.message_id') AS reply_id
        FROM unnest(p_users, p_rooms, p_contents, p_tokens, p_keys, p_traces, ahead, outcomes)
            WITH ORDINALITY AS a (user_id, room_id, content, tokens, key, trace, ahead, outcome, n)
        WHERE a.outcome = 'sent'
    ), m AS (
        INSERT INTO gemclone.messages (room_id, id, parent_id, sender, status, content, tokens)
        SELECT b.room_id, t.id, t.parent_id, t.sender, t.status, t.content, t.tokens
        FROM b CROSS JOIN LATERAL (VALUES
            (b.message_id, NULL, 'user', 'done', b.content, b.tokens),
            (b.reply_id, b.message_id, 'gemini', 'pending', '', 0)
        ) AS t (id, parent_id, sender, status, content, tokens)
    ), j AS (
        INSERT INTO gemclone.jobs (reply_id, room_id, user_id, site, place, due_at, charged_on, traceparent)
        SELECT b.reply_id, b.room_id, b.user_id, p_site, now() + b.ahead * interval '1 second',
               CASE WHEN row_number() OVER (PARTITION BY b.room_id ORDER BY b.n) = 1
                     AND NOT EXISTS (SELECT FROM gemclone.jobs o WHERE o.room_id = b.room_id)
                    THEN now() END,
               today, b.trace
        FROM b
    ), i AS (
        UPDATE gemclone.idempotency i
        SET answer = jsonb_build_object('message_id', b.message_id, 'reply_id', b.reply_id)
        FROM b WHERE i.user_id = b.user_id AND i.key = b.key
    )
    SELECT b.n::integer, 'sent', b.message_id, b.reply_id, now(), used[b.n], limits[b.n] FROM b;

    RETURN QUERY
    SELECT b.n::integer,
           -- Its twin in the same group was refused.
           CASE WHEN b.outcome = 'replayed' AND i.answer IS NULL
                THEN (SELECT t.outcome FROM unnest(p_users, p_keys, outcomes) AS t (user_id, key, outcome)
                      WHERE t.user_id = b.user_id AND t.key = b.key AND t.outcome IN ('quota', 'owed')
                      LIMIT 1)
                ELSE b.outcome END,
           (i.answer ->> 'message_id')::bigint,
           (i.answer ->> 'reply_id')::bigint, i.created_at,
           coalesce(used[b.n], (SELECT g.prompts FROM gemclone.usage g
                                WHERE g.user_id = b.user_id AND g.day = today)),
           limits[b.n]
    FROM unnest(p_users, p_keys, outcomes) WITH ORDINALITY AS b (user_id, key, outcome, n)
    LEFT JOIN gemclone.idempotency i
           ON b.outcome = 'replayed' AND i.user_id = b.user_id AND i.key = b.key
    WHERE b.outcome <> 'sent';
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.messages_send FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.messages_send TO gemclone;

COMMIT;
