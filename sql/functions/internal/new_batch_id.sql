-- A new id of a batch (await.is_batch): as await.new_id(), with version 8.
CREATE OR REPLACE FUNCTION await.new_batch_id(class int2 DEFAULT 1) RETURNS uuid
LANGUAGE sql VOLATILE
AS $$
    SELECT encode(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 'hex')::uuid
    FROM (SELECT uuid_send(await.new_id(class)) AS b) n
$$;
