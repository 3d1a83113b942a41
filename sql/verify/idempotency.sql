-- Verify mod_gemclone:idempotency on pg

BEGIN;

SELECT user_id, key, fingerprint, answer, created_at FROM gemclone.idempotency WHERE false;

ROLLBACK;
