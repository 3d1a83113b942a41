-- Verify mod_gemclone:users on pg

BEGIN;

SELECT id, e164, mobile_number, name, tier, paid_until, password_hash, created_at FROM gemclone.users WHERE false;

ROLLBACK;
