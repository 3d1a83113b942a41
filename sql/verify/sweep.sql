-- Verify mod_gemclone:sweep on pg

BEGIN;

SELECT 1 / has_function_privilege('gemclone', 'gemclone.sweep(integer)', 'EXECUTE')::int,
    1 / has_function_privilege('gemclone', 'gemclone.sweep_rows(regclass, text, integer)', 'EXECUTE')::int;

ROLLBACK;
