-- Verify mod_gemclone:replies on pg

BEGIN;

SELECT 1 / (count(*) = 2)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('reply_cancel', 'reply_regenerate')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
