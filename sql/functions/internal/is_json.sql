-- Whether a content type is JSON: application/json, or application/<something>+json.
CREATE OR REPLACE FUNCTION await.is_json(content_type text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$' $$;
