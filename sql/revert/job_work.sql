-- Revert mod_gemclone:job_work from pg

BEGIN;

DROP FUNCTION gemclone.jobs_free, gemclone.jobs_count, gemclone.job_finish, gemclone.job_put_off, gemclone.job_stops, gemclone.job_renew,
    gemclone.job_history, gemclone.job_claim;

COMMIT;
