-- Verify mod_gemclone:job_work on pg

BEGIN;

SELECT 1 / (count(*) = 8)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('job_claim', 'job_history', 'job_renew', 'job_stops', 'job_put_off', 'job_finish', 'jobs_count',
                    'jobs_free')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
