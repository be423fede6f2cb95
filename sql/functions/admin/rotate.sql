-- A new signing key, and the two pads of HMAC (RFC 2104) made of it.
CREATE OR REPLACE FUNCTION await.new_secret(OUT key bytea, OUT inner_pad bytea, OUT outer_pad bytea)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    key := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    inner_pad := key || decode(repeat('00', 32), 'hex');
    outer_pad := inner_pad;
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
    END LOOP;
END $$;

-- Creates or renews the signing key of hints, tickets and cursors ("await-ctl rotate"). What was signed with the key before stays valid for a
-- day, however often this is called; with `forget`, where somebody may know a key, nothing signed before stays valid.
CREATE OR REPLACE FUNCTION await.rotate(forget boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE await.old_secret IN SHARE ROW EXCLUSIVE MODE; -- one rotation at a time
    DELETE FROM await.old_secret o WHERE forget OR o.until <= clock_timestamp();
    IF NOT coalesce(forget, false) THEN
        INSERT INTO await.old_secret (key, until) SELECT s.key, clock_timestamp() + interval '1 day' FROM await.secret s;
    END IF;
    INSERT INTO await.secret (key, inner_pad, outer_pad) SELECT n.key, n.inner_pad, n.outer_pad FROM await.new_secret() n
        ON CONFLICT ON CONSTRAINT secret_pkey DO UPDATE
        SET key = excluded.key, inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad;
END $$;
