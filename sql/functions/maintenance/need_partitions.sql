-- Creates the partitions of today and tomorrow, should they be missing, with a warning: something has not called await.purge(). For
-- those who are about to write; called with a class, it only looks whether that class has its partition of now for one table.
CREATE OR REPLACE FUNCTION await.need_partitions(p_class int2 DEFAULT NULL, p_base text DEFAULT 'job') RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF p_class IS NOT NULL AND await.has_partition(p_base, p_class,
           (SELECT r.step FROM await.retention r WHERE r.class = p_class), clock_timestamp()) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM await.make_partitions(interval '1 day') said WHERE said LIKE 'made %') THEN
        RAISE WARNING 'await: partitions of today or tomorrow were missing and have been created; await.purge() should run every hour';
    END IF;
END $$;
