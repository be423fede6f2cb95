-- The console (await.console_overview) shows the queues that are paused and those that configurations name, however
-- many others there are.
CREATE INDEX queue_paused ON await.queue (id) WHERE paused;
CREATE INDEX queue_named ON await.queue (id) WHERE named;
