-- Revert mod_gemclone:passwords from pg

BEGIN;

DROP FUNCTION gemclone.password_set, gemclone.password_accept, gemclone.password_try;

COMMIT;
