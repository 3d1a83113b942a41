-- Verify mod_gemclone:creation on pg

BEGIN;

SELECT 1 / (count(*) = 2)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('user_create', 'chatroom_create')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
