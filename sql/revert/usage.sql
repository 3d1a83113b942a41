-- Revert mod_gemclone:usage from pg

BEGIN;

DROP TABLE gemclone.usage;

COMMIT;
