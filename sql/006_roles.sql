-- Who may call what. The roles are made if we may; else an operator makes them and grants by hand.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['await_edge', 'await_worker', 'await_relay'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'no right to create roles: await_edge, await_worker and await_relay are left to you';
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA await FROM PUBLIC;
-- owners alone touch the tables; everybody else goes through the functions
GRANT USAGE ON SCHEMA await TO PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'await_edge') THEN
        GRANT EXECUTE ON FUNCTION await.edge_hello(text[], int2[]), await.edge_jobs(uuid[], int2[], int), await.edge_events(uuid[], int4[], int, int),
            await.edge_tail(pg_snapshot, int), await.edge_heads(uuid[]), await.edge_put(uuid, int4, bigint, bytea),
            await.edge_get(uuid, int2, bigint), await.edge_drop(uuid), await.cancel(uuid), await.tick(int), await.purge(),
            await.edge_submit(uuid[], text[], int2[], text[], text[], text[], text[], text[], text[], bytea[], int8[], int8[], int2[], int8[], int8[])
            TO await_edge;
        GRANT EXECUTE ON FUNCTION await.submit(text, bytea, text, jsonb), await.claim(text[], text, int, interval),
            await.heartbeat(uuid, int, jsonb), await.emit(uuid, int, text, jsonb, text),
            await.complete(uuid, int, bytea, text, int, text), await.fail(uuid, int, jsonb, interval),
            await.payload(uuid, bigint, int), await.append_result(uuid, int, int, bytea),
            await.hint(uuid), await.tick(int), await.purge() TO await_worker;
        GRANT EXECUTE ON FUNCTION await.reap(int), await.tick(int), await.purge(), await.hint(uuid) TO await_relay;
    END IF;
END $$;
