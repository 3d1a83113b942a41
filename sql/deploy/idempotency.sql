-- Deploy mod_gemclone:idempotency to pg
-- What was created under an Idempotency-Key, so that the same request made
-- again gets the same answer. The fingerprint is a hash of route and body.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.idempotency (
    user_id     uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    answer      jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_age ON gemclone.idempotency (created_at);

-- Takes a key for a request that is about to create something. NULL: it was free, and whoever took
-- it puts the answer there, or removes it again, in the same transaction. Else nothing is to be
-- created: 'replayed', the same request came with it before, or 'key_reused', another one did. Who
-- comes while the first is still under way waits for its end.
CREATE FUNCTION gemclone.key_take(p_user uuid, p_key text, p_fingerprint bytea)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gemclone.idempotency i
    WHERE i.user_id = p_user AND i.key = p_key AND i.created_at < now() - interval '24 hours';
    INSERT INTO gemclone.idempotency (user_id, key, fingerprint)
    VALUES (p_user, p_key, p_fingerprint) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT CASE WHEN i.fingerprint = p_fingerprint THEN 'replayed' ELSE 'key_reused' END
            FROM gemclone.idempotency i WHERE i.user_id = p_user AND i.key = p_key);
END
$$;

REVOKE EXECUTE ON FUNCTION gemclone.key_take FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.key_take TO gemclone;
GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.idempotency TO gemclone;

COMMIT;
