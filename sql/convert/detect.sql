-- Is this a database of the numbered migrations, from before the first release? Sets :converts. Goes away with 021.sql.
SELECT false AS converts \gset
SELECT :had = 0 AND to_regclass('await.migration') IS NOT NULL AS numbered \gset
\if :numbered
LOCK TABLE await.migration IN SHARE ROW EXCLUSIVE MODE;
SELECT count(*) > 0 AS converts FROM await.migration \gset
\endif
\if :converts
DO $$
DECLARE had int := (SELECT max(number) FROM await.migration);
BEGIN
    IF had <> 21 THEN
        RAISE EXCEPTION 'this database is at migration %, from before the first release; only 021 can be converted. Nothing was done.', had
            USING HINT = 'run "migrate" of the await-ctl that has the files sql/001 to sql/021, then this one';
    END IF;
END $$;
\endif
