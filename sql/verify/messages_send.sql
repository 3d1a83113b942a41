-- Verify mod_gemclone:messages_send on pg

BEGIN;

SELECT 1 / has_function_privilege('gemclone',
    'gemclone.messages_send(uuid[], uuid[], text[], integer[], text[], bytea[], text[], text, integer, integer, integer, boolean)',
    'EXECUTE')::int;

ROLLBACK;
