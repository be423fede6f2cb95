-- Who may call what, all of it. Runs with search_path = pg_catalog, pg_temp; casts to text keep operators of others out. `await-ctl migrate` runs this each time, at the end of its transaction, so that roles that were
-- created since get their rights, and grants that were taken away are restored. By name, whatever the arguments. A new function
-- gets its line here and no GRANT of its own. Nothing is granted to PUBLIC. Tables are the owner's alone: everybody else goes
-- through the functions. What default privileges (ALTER DEFAULT PRIVILEGES) gave to others is taken away again; a function that the
-- owner granted by hand to a role of its own stays granted.

DO $$
DECLARE
    rights CONSTANT jsonb := '{
        "await_edge": [
            "edge_hello", "edge_submit", "edge_submit_once", "edge_jobs", "edge_events", "edge_user_events", "edge_tail", "edge_heads",
            "edge_submit_limited", "edge_stage", "edge_submit_batch", "edge_add_to_batch", "edge_unstage", "edge_batches",
            "edge_batch_jobs", "edge_list", "edge_list_batches", "edge_position", "edge_paused", "edge_retry", "edge_put", "edge_get", "edge_drop",
            "edge_cancel", "edge_publish", "edge_use_tickets", "edge_revoked", "edge_queues", "edge_relays",
            "list_deliveries", "retry_delivery", "delivery_stats", "edge_report",
            "console_overview", "console_queues", "console_jobs", "console_job", "console_failures",
            "cancel", "publish", "topic_id", "run_maintenance", "tick", "purge"],
        "await_worker": [
            "claim", "heartbeat", "emit", "complete", "complete_many", "fail", "release", "payload", "append_result",
            "submit", "create_batch", "list", "publish", "topic_id", "hint", "hints", "may_queue", "run_maintenance", "tick", "purge"],
        "await_relay": [
            "events_after", "relay_page", "relay_hello", "relay_lease", "relay_release", "relay_open", "relay_advance", "relay_status",
            "relay_set", "relay_drop", "relay_lookup", "relay_unserved", "relay_webhooks", "relay_wal_missing", "submit", "submit_messages",
            "enqueue_deliveries", "due_deliveries", "finish_deliveries",
            "publish", "topic_id", "hint", "hints", "reap", "run_maintenance", "tick", "purge"],
        "await_console": [
            "cancel", "retry", "retry_many", "find_jobs", "list", "pause", "resume", "set_queue", "sort_queue", "queues", "position",
            "add_webhook", "remove_webhook", "enable_webhook", "rotate_webhook", "webhook_secret", "webhooks",
            "list_deliveries", "retry_delivery", "revoke", "topic_id", "hint", "hints", "queue_stats", "reap_lag",
            "relay_status", "console_overview", "console_queues", "console_jobs", "console_job", "console_failures", "console_act",
            "run_maintenance", "tick", "purge"]
    }';
    name    text;
    unknown text;
    r       record;
    created text[] := '{}';
    owner   CONSTANT oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'await');
    given   CONSTANT oid[] := ARRAY(         -- who gets something by default in what the owner creates
        SELECT DISTINCT a.grantee FROM pg_default_acl d, aclexplode(d.defaclacl) a WHERE d.defaclrole = owner AND a.grantee <> owner);
    taken   text[] := '{}';
    changed int := 0;
BEGIN
    BEGIN                                    -- where we may not, await-ctl says what a DBA has to do
        FOR name IN SELECT k FROM jsonb_object_keys(rights) k WHERE NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname::text = k) LOOP
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            created := created || ('created role ' || name);
        END LOOP;
    EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        created := '{}';
    END;

    SELECT string_agg(DISTINCT f, ', ') INTO unknown FROM jsonb_each(rights) e, jsonb_array_elements_text(e.value) f
        WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'await'::regnamespace AND p.proname::text = f);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'sql/grants.sql names functions that do not exist: %', unknown;
    END IF;

    -- only what differs: each GRANT and REVOKE writes a row of the catalogue anew
    FOR r IN
        SELECT DISTINCT 'TABLE ' || c.oid::regclass::text AS what, a.grantee
        FROM pg_class c CROSS JOIN LATERAL (
            SELECT x.grantee FROM aclexplode(c.relacl) x
            UNION SELECT x.grantee FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid) a
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND a.grantee <> c.relowner
        UNION ALL
        SELECT DISTINCT 'TYPE ' || t.oid::regtype::text, a.grantee FROM pg_type t, aclexplode(t.typacl) a
        WHERE t.typnamespace = 'await'::regnamespace AND a.grantee NOT IN (0, t.typowner) -- USAGE for PUBLIC is what a type has anyway
        UNION ALL
        -- Without USAGE nobody can name our tables. With it any login could hold locks on them, and keep purge or migrate waiting:
        -- PREPARE locks a table before anybody asks whether one may use it. Nobody else creates anything here.
        SELECT 'SCHEMA await', a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'await' AND a.grantee <> owner
          AND (a.grantee = 0 OR a.privilege_type = 'CREATE' OR a.grantee = ANY (given) AND NOT EXISTS (
              SELECT FROM pg_proc p, aclexplode(p.proacl) e WHERE p.pronamespace = n.oid AND e.grantee = a.grantee))
    LOOP
        name := CASE WHEN r.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END;
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', r.what, name);
        taken := taken || name;
        changed := changed + 1;
    END LOOP;
    FOR r IN
        SELECT p.oid::regprocedure AS function, a.grantee FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'await'::regnamespace AND p.prokind = 'f' AND a.grantee <> p.proowner
          AND (a.grantee = 0 OR a.grantee = ANY (given) AND NOT rights ? pg_get_userbyid(a.grantee)::text)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', r.function,
            CASE WHEN r.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END);
        changed := changed + 1;
    END LOOP;
    FOR r IN
        SELECT p.oid::regprocedure AS function, o.rolname AS role, rights -> o.rolname::text ? p.proname::text AS wanted
        FROM pg_proc p CROSS JOIN pg_roles o
        WHERE p.pronamespace = 'await'::regnamespace AND p.prokind = 'f' AND rights ? o.rolname::text
          AND rights -> o.rolname::text ? p.proname::text IS DISTINCT FROM EXISTS
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
    PERFORM set_config('await.grants_report', array_to_string(created || CASE WHEN changed > 0 THEN 'changed grants: ' || changed END
        || CASE WHEN taken <> '{}' THEN 'took away rights on the schema and its tables, sequences and types from: '
            || (SELECT string_agg(DISTINCT x, ', ') FROM unnest(taken) x) END, E'\n'), false);
END $$;
