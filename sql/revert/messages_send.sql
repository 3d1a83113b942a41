-- Revert mod_gemclone:messages_send from pg

BEGIN;

DROP FUNCTION gemclone.messages_send;

COMMIT;
