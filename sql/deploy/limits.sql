-- Deploy mod_gemclone:limits to pg
-- What may be done so often in a while, and no oftener: tries at codes and passwords, codes that are sent.
-- Here and not in Redis, since these limits protect accounts and money.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE TABLE gemclone.limits (
    kind        text        NOT NULL,
    subject     text        NOT NULL,
    count       integer     NOT NULL CHECK (count >= 0),
    window_ends timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
);

COMMENT ON COLUMN gemclone.limits.subject IS 'a number, an address, or nothing where the limit is for all together';
COMMENT ON COLUMN gemclone.limits.window_ends IS 'when counting starts anew';

CREATE INDEX limits_expiry ON gemclone.limits (window_ends);

-- Takes one of each kind, or none at all: then a row tells which kind is used up, and until when.
-- A window's length is in microseconds, and begins with the first that is taken.
--
-- Each is counted under the row lock that the upsert takes, so that parallel callers cannot
-- overshoot. All callers name kinds in the same order, so that they cannot lock each other out.
CREATE FUNCTION gemclone.limits_take(p_kinds text[], p_subjects text[], p_most bigint[], p_windows bigint[])
RETURNS TABLE (kind text, ends timestamptz)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
    i integer;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(p_kinds), 0) LOOP
        INSERT INTO gemclone.limits AS l (kind, subject, count, window_ends)
        VALUES (p_kinds[i], p_subjects[i], 1, now() + p_windows[i] * interval '1 microsecond')
        ON CONFLICT (kind, subject) DO UPDATE
            SET count = CASE WHEN l.window_ends <= now() THEN 1 ELSE l.count + 1 END,
                window_ends = CASE WHEN l.window_ends <= now() THEN EXCLUDED.window_ends
                                   ELSE l.window_ends END
            WHERE l.window_ends <= now() OR l.count < p_most[i];
        IF NOT FOUND THEN
            PERFORM gemclone.limits_return(p_kinds[1 : i - 1], p_subjects[1 : i - 1]);
            RETURN QUERY SELECT l.kind, l.window_ends FROM gemclone.limits l
                         WHERE l.kind = p_kinds[i] AND l.subject = p_subjects[i];
            RETURN;
        END IF;
    END LOOP;
END
$$;

-- Gives back what a caller took that turned out to be right.
CREATE FUNCTION gemclone.limits_return(p_kinds text[], p_subjects text[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i integer;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(p_kinds), 0) LOOP
        UPDATE gemclone.limits l SET count = l.count - 1
        WHERE l.kind = p_kinds[i] AND l.subject = p_subjects[i] AND l.count > 0;
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON gemclone.limits TO gemclone;
REVOKE EXECUTE ON FUNCTION gemclone.limits_take, gemclone.limits_return FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gemclone.limits_take, gemclone.limits_return TO gemclone;

COMMIT;
