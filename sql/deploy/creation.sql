-- Deploy mod_gemclone:creation to pg
-- Accounts and chatrooms are made, once under an Idempotency-Key (p_key, or NULL), which comes with
-- the fingerprint of its request.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Opens an account. outcome: 'created'; 'taken': the number has one; 'replayed', 'key_reused': it has
-- one that was made, or that made something, under this key. The key is the account's own, since
-- there is nobody else yet whose it could be. refused: a limit (see limits_take) that is used up,
-- until `ends`; of the rest, only replays do not count.
CREATE FUNCTION gemclone.user_create(p_e164 text, p_number text, p_name text, p_key text, p_fingerprint bytea,
                                     p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[])
RETURNS TABLE (outcome text, id uuid, refused text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
    SELECT t.kind, t.ends INTO refused, ends
    FROM gemclone.limits_take(p_kinds, p_subjects, p_most, p_windows) t;
    IF refused IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    INSERT INTO gemclone.users AS u (e164, mobile_number, name) VALUES (p_e164, p_number, p_name)
    ON CONFLICT (e164) DO NOTHING RETURNING u.id INTO id;
    IF NOT FOUND THEN
        SELECT CASE WHEN i.fingerprint = p_fingerprint THEN 'replayed' ELSE 'key_reused' END, u.id
        INTO outcome, id
        FROM gemclone.users u JOIN gemclone.idempotency i ON i.user_id = u.id
        WHERE u.e164 = p_e164 AND i.key = p_key AND i.created_at >= now() - interval '24 hours';
        outcome := coalesce(outcome, 'taken');
        IF outcome = 'replayed' THEN
            PERFORM gemclone.limits_return(p_kinds, p_subjects);
        END IF;
    ELSE
        outcome := 'created';
        INSERT INTO gemclone.idempotency (user_id, key, fingerprint, answer)
        SELECT id, p_key, p_fingerprint, jsonb_build_object('id', id) WHERE p_key IS NOT NULL;
    END IF;
    RETURN NEXT;
END
$$;

-- Makes a chatroom. outcome: 'created', 'replayed' or 'key_reused'.
CREATE FUNCTION gemclone.chatroom_create(p_user uuid, p_title text, p_system_prompt text, p_model text,
                                         p_key text, p_fingerprint bytea)
RETURNS TABLE (outcome text, id uuid, created_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF p_key IS NOT NULL THEN
        outcome := gemclone.key_take(p_user, p_key, p_fingerprint);
    END IF;
    IF outcome IS NOT NULL THEN
        SELECT (i.answer ->> 'id')::uuid, i.created_at INTO id, created_at
        FROM gemclone.idempotency i WHERE i.user_id = p_user AND i.key = p_key;
    ELSE
        outcome := 'created';
        INSERT INTO gemclone.chatrooms AS r (user_id, title, system_prompt, model)
        VALUES (p_user, p_title, p_system_prompt, p_model)
        RETURNING r.id, r.created_at INTO id, created_at;
        UPDATE gemclone.idempotency i SET answer = jsonb_build_object('id', id)
        WHERE i.user_id = p_user AND i.key = p_key;
    END IF;
    RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.user_create, gemclone.chatroom_create FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.user_create, gemclone.chatroom_create TO gemclone;

COMMIT;
