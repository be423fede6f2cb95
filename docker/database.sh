#!/bin/sh
# The roles and the database, in a new PostgreSQL server; the image of PostgreSQL runs it once, as a superuser. `await-ctl migrate` makes
# the rest as jobs_owner. usage: database.sh      (SECRETS: the directory of the passwords; psql connects by PGHOST and its like)
set -eu
SECRETS=${SECRETS:-/run/secrets}
export SECRETS
psql -Xq -v ON_ERROR_STOP=1 -d postgres <<'SQL'
\set owner `head -n 1 "$SECRETS/owner_password"`
\set edge `head -n 1 "$SECRETS/edge_password"`
\set worker `head -n 1 "$SECRETS/worker_password"`
\set relay `head -n 1 "$SECRETS/relay_password"`
-- passwords are not for the log
SET log_statement = none; SET log_min_error_statement = panic; SET client_min_messages = warning;
DO $$ BEGIN CREATE ROLE await_edge NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE await_worker NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE await_relay NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE await_console NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE ROLE jobs_owner LOGIN PASSWORD :'owner';
CREATE ROLE jobs_edge LOGIN PASSWORD :'edge' IN ROLE await_edge;
CREATE ROLE jobs_worker LOGIN PASSWORD :'worker' IN ROLE await_worker;
CREATE ROLE jobs_relay LOGIN PASSWORD :'relay' IN ROLE await_relay;
GRANT await_worker TO jobs_owner WITH ADMIN OPTION;
CREATE DATABASE jobs OWNER jobs_owner TEMPLATE template0 ENCODING 'UTF8';
REVOKE CONNECT ON DATABASE jobs FROM PUBLIC;
GRANT CONNECT ON DATABASE jobs TO jobs_owner, jobs_edge, jobs_worker, jobs_relay;
\connect jobs
GRANT CREATE ON SCHEMA public TO jobs_owner;
SQL
