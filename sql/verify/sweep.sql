-- Verify mod_gemclone:sweep on pg

BEGIN;

SELECT 1 / has_function_privilege('gemclone', 'gemclone.sweep(integer)', 'EXECUTE')::int;

ROLLBACK;
