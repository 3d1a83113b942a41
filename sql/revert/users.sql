-- Revert mod_gemclone:users from pg

BEGIN;

DROP FUNCTION gemclone.tier_of;
DROP TABLE gemclone.users;

COMMIT;
