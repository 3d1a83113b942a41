-- Revert mod_gemclone:limits from pg

BEGIN;

DROP FUNCTION gemclone.limits_take(text[], text[], bigint[], bigint[]);
DROP FUNCTION gemclone.limits_return(text[], text[]);
DROP TABLE gemclone.limits;

COMMIT;
