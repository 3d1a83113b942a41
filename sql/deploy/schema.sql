-- Deploy mod_gemclone:schema to pg
-- The schema, and the role that the module signs in with. The role may use what
-- later changes grant it; it owns nothing and can create nothing.

BEGIN;
SET LOCAL lock_timeout = '1s';

CREATE SCHEMA gemclone;

DO $$
BEGIN
    CREATE ROLE gemclone LOGIN;
EXCEPTION WHEN duplicate_object THEN
    -- A role belongs to the whole cluster: another database's deployment, or
    -- an admin who wanted a password on it, made it first.
    NULL;
END
$$;

-- Temporary tables are DDL too; PostgreSQL lets everybody make them.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

GRANT USAGE ON SCHEMA gemclone TO gemclone;
ALTER DEFAULT PRIVILEGES IN SCHEMA gemclone REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

COMMIT;
