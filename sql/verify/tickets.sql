-- Verify mod_gemclone:tickets on pg

BEGIN;

SELECT hash, user_id, room_id, reply_id, expires_at FROM gemclone.tickets WHERE false;

ROLLBACK;
