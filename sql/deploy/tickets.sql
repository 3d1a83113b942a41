-- Deploy mod_gemclone:tickets to pg
-- Stream tickets: each lets whoever shows it read the events of one reply, once.
-- Only a hash is kept.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.tickets (
    hash       bytea       PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES gemclone.users ON DELETE CASCADE,
    room_id    uuid        NOT NULL,
    reply_id   bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (room_id, reply_id) REFERENCES gemclone.messages ON DELETE CASCADE
);

CREATE INDEX tickets_expiry ON gemclone.tickets (expires_at);
-- For what goes when a reply or a user does.
CREATE INDEX tickets_reply ON gemclone.tickets (room_id, reply_id);
CREATE INDEX tickets_user ON gemclone.tickets (user_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.tickets TO gemclone;

COMMIT;
