-- Revert mod_gemclone:message_send from pg

BEGIN;

DROP FUNCTION gemclone.message_send;

COMMIT;
