-- Whether the session's login role may see every job anyway: the schema's owner, superusers, edges and relays. By session_user,
-- which neither SET ROLE nor a SECURITY DEFINER function changes.
CREATE OR REPLACE FUNCTION await.sees_all() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_has_role(session_user, (SELECT s.nspowner FROM pg_namespace s WHERE s.nspname = 'await'), 'MEMBER')
        OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('await_edge', 'await_relay') AND pg_has_role(session_user, r.oid, 'MEMBER'))
$$;
