-- Verify mod_gemclone:schema on pg

BEGIN;

SELECT 1 / has_schema_privilege('gemclone', 'gemclone', 'USAGE')::int;
SELECT 1 / (NOT has_schema_privilege('gemclone', 'gemclone', 'CREATE'))::int;

SELECT 1 / (NOT has_database_privilege('gemclone', current_database(), 'TEMPORARY'))::int;

ROLLBACK;
