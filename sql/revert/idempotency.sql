-- Revert mod_gemclone:idempotency from pg

BEGIN;

DROP FUNCTION gemclone.key_take;
DROP TABLE gemclone.idempotency;

COMMIT;
