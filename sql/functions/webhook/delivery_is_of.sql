-- Whether a delivery is one to the own URL of a job of this owner. The job may be deleted already; what is sent names
-- its owner.
CREATE OR REPLACE FUNCTION await.delivery_is_of(d await.delivery, p_owner text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT d.webhook = 0 AND (d.body::json #>> '{data,owner}') IS NOT DISTINCT FROM p_owner $$;
