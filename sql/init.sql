-- What a new database needs before its first use. Run by migrate after the functions were applied for the first time.
SELECT await.rotate(forget => true);         -- the signing key
SELECT await.purge();                        -- the partitions of the next days
