-- Revert mod_gemclone:sessions from pg

BEGIN;

DROP TABLE gemclone.sessions;

COMMIT;
