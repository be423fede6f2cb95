-- What wakes workers up, and tells edges of an owner's new job, is notified by the functions that store jobs, once for all of a
-- statement (sql/functions/notify/notify_work.sql). A trigger for each row cost every submission something while await.notify was off.
DROP TRIGGER notify ON await.job;
DROP TRIGGER notify ON await.ready;
DROP FUNCTION await.notify_job();
DROP FUNCTION await.notify_ready();
