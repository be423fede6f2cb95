-- Converts a database that was made by the numbered migrations 001 to 021, before the first release, to schema 1. Goes away with
-- the release after it.
--
-- Calls that wait for this transaction's locks go on with their old bodies. So the helpers these call stay until such calls have
-- ended (021_after.sql), and those that read what is renamed here are redefined.

ALTER TABLE await.mark RENAME TO low_water;
ALTER INDEX await.mark_of_lane RENAME TO low_water_of_lane;
ALTER SEQUENCE await.marked RENAME TO last_advance;
ALTER SEQUENCE await.ticked RENAME TO last_maintenance;
CREATE TYPE await.job_head AS (
    id uuid, owner text, queue int4, priority int2, max_attempts int2,
    seq int4, state text, attempt int2, progress int4, ended boolean
);
DROP FUNCTION await.edge_hello(text[], int2[]); -- returns one column more now

CREATE OR REPLACE FUNCTION await.newest_mark(p_lane bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN await.advance_low_water(p_lane); END $$;
CREATE OR REPLACE FUNCTION await.advance_soon() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM await.advance_horizon_soon(); END $$;

DROP TABLE await.migration;
