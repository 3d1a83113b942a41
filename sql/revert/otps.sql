-- Revert mod_gemclone:otps from pg

BEGIN;

DROP FUNCTION gemclone.otp_verify, gemclone.otp_issue;
DROP TABLE gemclone.otp_tries, gemclone.otps;

COMMIT;
