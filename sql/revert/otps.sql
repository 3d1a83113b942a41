-- Revert mod_gemclone:otps from pg

BEGIN;

DROP FUNCTION gemclone.otp_confirm, gemclone.otp_ask, gemclone.otp_verify, gemclone.otp_accept,
    gemclone.deliveries_claim, gemclone.otp_issue;
DROP TABLE gemclone.deliveries, gemclone.otps;

COMMIT;
