-- Revert mod_gemclone:chatrooms from pg

BEGIN;

DROP TABLE gemclone.chatrooms;

COMMIT;
