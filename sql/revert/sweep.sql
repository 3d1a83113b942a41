-- Revert mod_gemclone:sweep from pg

BEGIN;

DROP FUNCTION gemclone.sweep, gemclone.sweep_rows;

COMMIT;
