-- A cursor of await.events_after() as text: "FLOOR|SNAPSHOT" or "FLOOR|SNAPSHOT|XID:EID,...".
--
-- What the snapshot sees was read. Of transactions that it names as running, those in the list were read up to that
-- eid. FLOOR is that of await.home: rows up to it came with a dump, and are never read; a cursor with another floor
-- belongs to the server that the dump is of.
CREATE OR REPLACE FUNCTION await.relay_cursor_text(p_floor bigint, p_xmax xid8, p_running xid8[], p_partial xid8[],
    p_upto bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws('|', p_floor, concat_ws(':', coalesce(min(r.x), p_xmax), p_xmax,
               coalesce(string_agg(r.x::text, ',' ORDER BY r.x), '')),
           (SELECT string_agg(p.x || ':' || p.upto, ',' ORDER BY p.x) FROM unnest(p_partial, p_upto) p (x, upto)
            WHERE p.upto > 0))
    FROM (SELECT DISTINCT x FROM unnest(p_running || p_partial) x WHERE x < p_xmax) r
$$;
