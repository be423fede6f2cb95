-- Adds a lane to the list of lanes in use, unless it is there.
CREATE OR REPLACE FUNCTION await.open_lane(p_lane bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM await.lane_in_use m WHERE m.lane = p_lane) THEN
        INSERT INTO await.lane_in_use (lane) VALUES (p_lane) ON CONFLICT (lane) DO NOTHING;
    END IF;
END $$;
