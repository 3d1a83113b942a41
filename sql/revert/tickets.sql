-- Revert mod_gemclone:tickets from pg

BEGIN;

DROP TABLE gemclone.tickets;

COMMIT;
