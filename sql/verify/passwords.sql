-- Verify mod_gemclone:passwords on pg

BEGIN;

SELECT 1 / (count(*) = 3)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('password_try', 'password_accept', 'password_set')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
