-- Revert mod_gemclone:users from pg

BEGIN;

DROP TABLE gemclone.users;

COMMIT;
