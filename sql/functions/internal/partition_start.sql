-- When the partition begins that has a moment. A day has 24 hours in every time zone.
CREATE OR REPLACE FUNCTION await.partition_start(p_step interval, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE
AS $$ SELECT to_timestamp(floor(extract(epoch FROM p_at) / extract(epoch FROM p_step)) * extract(epoch FROM p_step)) $$;
