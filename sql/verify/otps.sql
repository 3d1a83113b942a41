-- Verify mod_gemclone:otps on pg

BEGIN;

SELECT e164, purpose, code_hash, expires_at FROM gemclone.otps WHERE false;
SELECT id, site, e164, purpose, sealed, due_at, expires_at, fence, tries, is_out FROM gemclone.deliveries WHERE false;
SELECT 1 / (count(*) = 6)::int
FROM pg_proc p
WHERE p.pronamespace = 'gemclone'::regnamespace
  AND p.proname IN ('otp_issue', 'deliveries_claim', 'otp_accept', 'otp_verify', 'otp_ask', 'otp_confirm')
  AND has_function_privilege('gemclone', p.oid, 'EXECUTE');

ROLLBACK;
