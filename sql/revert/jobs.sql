-- Revert mod_gemclone:jobs from pg

BEGIN;

DROP TABLE gemclone.jobs;

COMMIT;
