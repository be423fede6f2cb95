-- Whether the partition of a table ("job", "event", "chunk") exists that has the ids of a class and a moment. `p_step`:
-- of await.retention.
CREATE OR REPLACE FUNCTION await.has_partition(p_base text, p_class int2, p_step interval, p_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
AS $$ SELECT to_regclass(format('await.%I', await.partition_name(p_base, p_class, date_bin(p_step, p_at, 'epoch')))) IS NOT NULL $$;
