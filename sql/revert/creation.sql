-- Revert mod_gemclone:creation from pg

BEGIN;

DROP FUNCTION gemclone.chatroom_create, gemclone.user_create;

COMMIT;
