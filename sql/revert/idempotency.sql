-- Revert mod_gemclone:idempotency from pg

BEGIN;

DROP TABLE gemclone.idempotency;

COMMIT;
