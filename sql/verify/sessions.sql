-- Verify mod_gemclone:sessions on pg

BEGIN;

SELECT id, user_id, purpose, refresh_hash, created_at FROM gemclone.sessions WHERE false;

ROLLBACK;
