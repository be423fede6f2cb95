-- The message that tells subscribers of user:<owner> to read anew; it is published on the channel of await.user_id().
CREATE OR REPLACE FUNCTION await.user_hint(p_owner text) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT format('1 %s 0 user', await.user_id(p_owner)) $$;
