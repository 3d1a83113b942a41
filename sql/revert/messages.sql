-- Revert mod_gemclone:messages from pg

BEGIN;

DROP TABLE gemclone.messages;

COMMIT;
