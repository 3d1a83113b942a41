-- Verify mod_gemclone:admin on pg

BEGIN;

SELECT 1 / (count(*) = 3)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('job_retry', 'job_drop', 'failures_count')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
