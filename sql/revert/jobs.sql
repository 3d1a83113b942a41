-- Revert mod_gemclone:jobs from pg

BEGIN;

DROP TABLE gemclone.failures, gemclone.jobs;

COMMIT;
