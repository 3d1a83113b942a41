-- Revert mod_gemclone:replies from pg

BEGIN;

DROP FUNCTION gemclone.reply_regenerate, gemclone.reply_cancel;

COMMIT;
