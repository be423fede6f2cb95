-- Creates the tables that say what was applied, and makes a second migrate wait.
DO $$
BEGIN
    IF to_regclass('await.schema_history') IS NULL THEN
        CREATE TABLE await.schema_history (
            version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    END IF;
EXCEPTION WHEN unique_violation OR duplicate_table THEN
    NULL;                                    -- another migrate has just created it
END $$;
LOCK TABLE await.schema_history IN SHARE ROW EXCLUSIVE MODE;
SELECT to_regclass('await.function_set') IS NULL AS lacks_set \gset
\if :lacks_set
CREATE TABLE await.function_set (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
    catalogue text, signatures text[]);
\endif
SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'await.function_set'::regclass AND attname = 'signatures') AS lacks_columns \gset
\if :lacks_columns
ALTER TABLE await.function_set ADD catalogue text, ADD signatures text[];
\endif
DO $$
DECLARE
    odd text := (SELECT string_agg(o.rolname, ', ') FROM pg_roles o WHERE o.rolname IN ('await_edge', 'await_worker', 'await_relay', 'await_console')
        AND (o.rolsuper OR o.rolcreaterole OR o.rolbypassrls OR pg_has_role(o.oid, (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'await'), 'MEMBER')));
BEGIN
    IF odd IS NOT NULL THEN
        RAISE WARNING 'these roles may do more than call their functions: %; see SUPERUSER, CREATEROLE, BYPASSRLS, and membership in the owner of the schema', odd;
    END IF;
END $$;
