-- Who may call what, all of it. `await-ctl migrate` runs this each time, at the end of its transaction, so that roles that were
-- created since get their rights, and grants that were taken away are restored. By name, whatever the arguments. A new function
-- gets its line here and no GRANT of its own. Nothing is granted to PUBLIC. Tables are the owner's alone: everybody else goes
-- through the functions.

-- Without USAGE nobody can name our tables. With it any login could hold locks on them, and keep purge or migrate waiting: PREPARE
-- locks a table before anybody asks whether one may use it.
REVOKE USAGE ON SCHEMA await FROM PUBLIC;

DO $$
DECLARE
    rights CONSTANT jsonb := '{
        "await_edge": [
            "edge_hello", "edge_submit", "edge_submit_once", "edge_jobs", "edge_events", "edge_user_events", "edge_tail", "edge_heads",
            "edge_put", "edge_get", "edge_drop", "edge_cancel", "edge_publish", "edge_use_tickets", "edge_revoked",
            "cancel", "publish", "topic_id", "run_maintenance", "tick", "purge"],
        "await_worker": [
            "claim", "heartbeat", "emit", "complete", "complete_many", "fail", "payload", "append_result",
            "submit", "publish", "topic_id", "hint", "hints", "may_queue", "run_maintenance", "tick", "purge"],
        "await_relay": [
            "publish", "topic_id", "hint", "hints", "reap", "run_maintenance", "tick", "purge"],
        "await_console": [
            "cancel", "retry", "revoke", "topic_id", "hint", "hints", "run_maintenance", "tick", "purge"]
    }';
    name    text;
    unknown text;
    r       record;
    created text[] := '{}';
    changed int := 0;
BEGIN
    BEGIN                                    -- where we may not, await-ctl says what a DBA has to do
        FOR name IN SELECT k FROM jsonb_object_keys(rights) k WHERE NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname = k) LOOP
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            created := created || ('created role ' || name);
        END LOOP;
    EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        created := '{}';
    END;

    SELECT string_agg(DISTINCT f, ', ') INTO unknown FROM jsonb_each(rights) e, jsonb_array_elements_text(e.value) f
        WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'await'::regnamespace AND p.proname = f);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'sql/grants.sql names functions that do not exist: %', unknown;
    END IF;

    -- only what differs: each GRANT and REVOKE writes a row of the catalogue anew
    FOR r IN
        SELECT p.oid::regprocedure AS function FROM pg_proc p
        WHERE p.pronamespace = 'await'::regnamespace AND p.prokind = 'f'
          AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', r.function);
        changed := changed + 1;
    END LOOP;
    FOR r IN
        SELECT p.oid::regprocedure AS function, o.rolname AS role, rights -> o.rolname ? p.proname AS wanted
        FROM pg_proc p CROSS JOIN pg_roles o
        WHERE p.pronamespace = 'await'::regnamespace AND p.prokind = 'f' AND rights ? o.rolname
          AND rights -> o.rolname ? p.proname IS DISTINCT FROM EXISTS
              (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = o.oid AND a.privilege_type = 'EXECUTE')
    LOOP
        EXECUTE format(CASE WHEN r.wanted THEN 'GRANT EXECUTE ON FUNCTION %s TO %I' ELSE 'REVOKE EXECUTE ON FUNCTION %s FROM %I' END, r.function, r.role);
        changed := changed + 1;
    END LOOP;

    -- the schema is for whoever may call something in it, also for those to whom an operator granted a function by hand
    FOR name IN
        SELECT DISTINCT o.rolname FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a JOIN pg_roles o ON o.oid = a.grantee
        WHERE p.pronamespace = 'await'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_namespace s, aclexplode(s.nspacl) u WHERE s.nspname = 'await' AND u.grantee = o.oid AND u.privilege_type = 'USAGE')
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA await TO %I', name);
        changed := changed + 1;
    END LOOP;

    -- for await-ctl
    PERFORM set_config('await.grants_report', array_to_string(created || CASE WHEN changed > 0 THEN 'changed grants: ' || changed END, E'\n'), false);
END $$;
