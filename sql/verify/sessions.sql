-- Verify mod_gemclone:sessions on pg

BEGIN;

SELECT id, user_id, purpose, refresh_hash, previous_hash, used_at, access_until, expires_at, ends_at, client, created_at
FROM gemclone.sessions WHERE false;
SELECT id, until, ended_at FROM gemclone.sessions_ended WHERE false;
SELECT 1 / (count(*) = 3)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('session_open', 'session_refresh', 'sessions_note_ended')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');
SELECT 1 / count(*) FROM pg_trigger WHERE tgname = 'sessions_ended' AND tgrelid = 'gemclone.sessions'::regclass;

ROLLBACK;
