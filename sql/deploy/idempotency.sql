-- Deploy mod_gemclone:idempotency to pg
-- What was created under an Idempotency-Key, so that the same request made
-- again gets the same answer. The fingerprint is a hash of route and body.

BEGIN;

CREATE TABLE gemclone.idempotency (
    user_id     uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    answer      jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_age ON gemclone.idempotency (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.idempotency TO gemclone;

COMMIT;
