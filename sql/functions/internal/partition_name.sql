-- The name of the partition of a table ("job", "event", "chunk") that has the ids of a class and a moment.
CREATE OR REPLACE FUNCTION await.partition_name(p_base text, p_class int2, p_start timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT format('%s_%s_%s', p_base, p_class, to_char(p_start AT TIME ZONE 'UTC', 'YYYYMMDD')) $$;
