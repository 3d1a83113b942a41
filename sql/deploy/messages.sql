-- Deploy mod_gemclone:messages to pg
-- Prompts and replies. A prompt and its reply get their ids together, under a
-- lock on the room: ids of a room grow in the order in which they can be seen,
-- so a reader that pages by id misses nothing.

BEGIN;
SET LOCAL lock_timeout = '1s';

-- Exact in a browser's numbers.
CREATE SEQUENCE gemclone.message_id MAXVALUE 9007199254740991;

CREATE TABLE gemclone.messages (
    room_id        uuid        NOT NULL REFERENCES gemclone.chatrooms ON DELETE CASCADE,
    id             bigint      NOT NULL DEFAULT nextval('gemclone.message_id'),
    parent_id      bigint,
    superseded     boolean     NOT NULL DEFAULT false,
    sender         text        NOT NULL CHECK (sender IN ('user', 'gemini')),
    status         text        NOT NULL
        CHECK (status IN ('pending', 'done', 'failed', 'cancelled')),
    content        text        NOT NULL,
    error          text
        CHECK (error IN ('blocked', 'rate_limited', 'upstream', 'timeout', 'too_long', 'poison')),
    error_detail   text,
    finish_reason  text,
    model          text,
    tokens         integer     NOT NULL,
    prompt_tokens  integer,
    cached_tokens  integer,
    thought_tokens integer,
    fence          bigint      NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    PRIMARY KEY (room_id, id),
    CHECK ((sender = 'gemini') = (parent_id IS NOT NULL)),
    CHECK ((status = 'failed') = (error IS NOT NULL))
) WITH (fillfactor = 90);

ALTER SEQUENCE gemclone.message_id OWNED BY gemclone.messages.id;

COMMENT ON COLUMN gemclone.messages.parent_id IS 'of a reply: the prompt that it answers';
COMMENT ON COLUMN gemclone.messages.superseded IS 'an older version of a reply, kept for export';
COMMENT ON COLUMN gemclone.messages.status IS
    'a pending reply whose job a process has is shown as generating';
COMMENT ON COLUMN gemclone.messages.fence IS
    'of a reply that has ended: the fence of the try that it came of, by which readers know whose text they have';
COMMENT ON COLUMN gemclone.messages.tokens IS
    'what the text weighs in a later prompt''s history: as Gemini counted it, or estimated';
COMMENT ON COLUMN gemclone.messages.prompt_tokens IS 'of a reply: all that was sent for it, as Gemini counted it';

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.messages TO gemclone;
GRANT USAGE ON SEQUENCE gemclone.message_id TO gemclone;

COMMIT;
