-- Verify mod_gemclone:message_send on pg

BEGIN;

SELECT 1 / has_function_privilege('gemclone',
    'gemclone.message_send(uuid, uuid, text, integer, text, integer, integer, text, bytea)',
    'EXECUTE')::int;

ROLLBACK;
