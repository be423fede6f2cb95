-- Nobody calls a function who was not given it; grants.sql has who may call what.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA await FROM PUBLIC;
-- owners alone touch the tables; everybody else goes through the functions
GRANT USAGE ON SCHEMA await TO PUBLIC;
