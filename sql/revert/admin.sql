-- Revert mod_gemclone:admin from pg

BEGIN;

DROP FUNCTION gemclone.failures_count, gemclone.job_drop, gemclone.job_retry;

COMMIT;
