-- Creates the schema, if the database has none. Part of the transaction of `await-ctl migrate`.
DO $$
BEGIN
    IF to_regnamespace('await') IS NOT NULL THEN
        RETURN;
    ELSIF current_user IN ('await_edge', 'await_worker', 'await_relay', 'await_console') THEN
        RAISE EXCEPTION '"%" is a role of those who only call the functions: it cannot own the schema. Nothing was done.', current_user;
    END IF;
    CREATE SCHEMA await;
    IF (SELECT o.rolsuper FROM pg_roles o WHERE o.rolname = current_user) THEN
        RAISE WARNING 'the owner of the schema is "%", a superuser: its functions run with all rights; better give it an owner of its own', current_user;
    END IF;
EXCEPTION
    WHEN unique_violation OR duplicate_schema THEN
        NULL;                                -- another migrate has just created it
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION '"%" may not create the schema await in database "%". Nothing was done.', current_user, current_database()
            USING HINT = format('as the owner of the database: CREATE SCHEMA await AUTHORIZATION %I', current_user);
END $$;
