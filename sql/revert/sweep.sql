-- Revert mod_gemclone:sweep from pg

BEGIN;

DROP FUNCTION gemclone.sweep;

COMMIT;
