-- Verify mod_gemclone:limits on pg

BEGIN;

SELECT kind, subject, count, window_ends FROM gemclone.limits WHERE false;
SELECT 1 / (count(*) = 2)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('limits_take', 'limits_return')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
