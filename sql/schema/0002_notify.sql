-- Wake-ups by NOTIFY, off by default: ALTER DATABASE ... SET await.notify = on (docs/operations.md). Triggers, so that every way in
-- which a job changes is covered, and so that nothing is paid while it is off. The functions are in sql/functions/notify; what
-- stands here lets the triggers be created before them.
CREATE FUNCTION await.notify_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION await.notify_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION await.notify_ready() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION await.notify_revoked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;

CREATE TRIGGER notify AFTER INSERT ON await.event FOR EACH ROW
    WHEN (current_setting('await.notify', true) IN ('on', 'true', 'yes', '1')) EXECUTE FUNCTION await.notify_event();
CREATE TRIGGER notify AFTER INSERT ON await.job FOR EACH ROW
    WHEN (NEW.owner IS NOT NULL AND current_setting('await.notify', true) IN ('on', 'true', 'yes', '1')) EXECUTE FUNCTION await.notify_job();
CREATE TRIGGER notify AFTER INSERT ON await.ready FOR EACH ROW
    WHEN (current_setting('await.notify', true) IN ('on', 'true', 'yes', '1')) EXECUTE FUNCTION await.notify_ready();
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON await.revoked FOR EACH ROW
    WHEN (current_setting('await.notify', true) IN ('on', 'true', 'yes', '1')) EXECUTE FUNCTION await.notify_revoked();
