-- Revert mod_gemclone:schema from pg

BEGIN;

DROP SCHEMA gemclone;

DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
END
$$;

DO $$
BEGIN
    DROP ROLE gemclone;
EXCEPTION WHEN dependent_objects_still_exist OR object_in_use THEN
    -- Another database of this cluster still uses it.
    NULL;
END
$$;

COMMIT;
