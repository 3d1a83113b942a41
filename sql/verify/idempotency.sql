-- Verify mod_gemclone:idempotency on pg

BEGIN;

SELECT user_id, key, fingerprint, answer, created_at FROM gemclone.idempotency WHERE false;

SELECT 1 / has_function_privilege('gemclone', 'gemclone.key_take(uuid, text, bytea)', 'EXECUTE')::int;

ROLLBACK;
