-- Verify mod_gemclone:otps on pg

BEGIN;

SELECT e164, purpose, code_hash, expires_at FROM gemclone.otps WHERE false;
SELECT e164, tries, window_ends FROM gemclone.otp_tries WHERE false;
SELECT 1 / has_function_privilege('gemclone',
    'gemclone.otp_issue(text, text, bytea, interval)', 'EXECUTE')::int;
SELECT 1 / has_function_privilege('gemclone',
    'gemclone.otp_verify(text, text, bytea, integer, interval, bytea)', 'EXECUTE')::int;

ROLLBACK;
