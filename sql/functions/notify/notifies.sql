-- Whether await.notify is on.
CREATE OR REPLACE FUNCTION await.notifies() RETURNS boolean
LANGUAGE sql STABLE
AS $$ SELECT coalesce(current_setting('await.notify', true), '') IN ('on', 'true', 'yes', '1') $$;
