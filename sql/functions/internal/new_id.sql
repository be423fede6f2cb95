-- A new UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, of which the two lowest hold the retention class, and 74
-- random bits of the system's CSPRNG.
CREATE OR REPLACE FUNCTION await.new_id(class int2 DEFAULT 1) RETURNS uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    ms    bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    bytes bytea  := uuid_send(gen_random_uuid());
BEGIN
    bytes := overlay(bytes PLACING substring(int8send((ms & ~3::bigint) | class) FROM 3) FROM 1 FOR 6);
    RETURN encode(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 112), 'hex')::uuid;
END $$;
