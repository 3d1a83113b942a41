-- Verify mod_gemclone:chatrooms on pg

BEGIN;

SELECT id, user_id, title, system_prompt, model, created_at FROM gemclone.chatrooms WHERE false;

ROLLBACK;
