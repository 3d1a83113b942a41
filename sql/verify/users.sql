-- Verify mod_gemclone:users on pg

BEGIN;

SELECT id, e164, mobile_number, name, tier, created_at FROM gemclone.users WHERE false;

ROLLBACK;
