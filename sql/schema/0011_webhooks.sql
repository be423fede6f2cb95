-- Webhooks: URLs that get events. await-relay stores a delivery for each event and each URL that gets it, and sends it.

-- Where the events of a job or batch go: "url", and "on", the types of these events; without "on", its ending. NULL of
-- nearly all of them. Not in `extra`, which says that a job is a batch or a topic.
ALTER TABLE await.job ADD webhook jsonb;

-- The endpoints that operators have registered. Those of jobs have no row; they are number 0.
CREATE TABLE await.webhook (
    id           int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url          text NOT NULL,
    queue        text,                       -- NULL: any
    types        text[],                     -- NULL: endings
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at  timestamptz,
    disabled_for text
);
CREATE UNIQUE INDEX webhook_once ON await.webhook (url, coalesce(queue, ''));

-- The secrets that deliveries are signed with; of an endpoint without one, it is made of that of number 0 and the
-- origin of the URL. `until`: it was replaced, and is used beside the newer one until then.
CREATE TABLE await.webhook_secret (
    webhook int4 NOT NULL, key bytea NOT NULL CHECK (length(key) BETWEEN 24 AND 64), until timestamptz
);
CREATE UNIQUE INDEX webhook_secret_newest ON await.webhook_secret (webhook) WHERE until IS NULL;
CREATE INDEX webhook_secret_of ON await.webhook_secret (webhook);
INSERT INTO await.webhook_secret (webhook, key) VALUES (0, sha256(uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- An event for an endpoint, and what is sent. It is in await.delivery_due until it has ended, then in
-- await.delivery_end. The body is kept because a job may be deleted before three days of attempts are over.
CREATE TABLE await.delivery (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook    int4 NOT NULL,                -- 0: of the job
    job        uuid NOT NULL,
    seq        int4 NOT NULL,
    type       text NOT NULL,
    queue      text NOT NULL,
    url        text NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX delivery_once ON await.delivery (job, seq, webhook);
CREATE INDEX delivery_of_webhook ON await.delivery (webhook, id);

-- The deliveries that have not ended. Of one job and endpoint, only the first is due; the others are at infinity.
CREATE TABLE await.delivery_due (
    job      uuid NOT NULL,
    webhook  int4 NOT NULL,
    seq      int4 NOT NULL,
    delivery bigint NOT NULL,
    host     text NOT NULL,
    due      timestamptz NOT NULL,
    until    timestamptz NOT NULL,           -- no attempt after it
    attempts int4 NOT NULL DEFAULT 0,        -- how many were made
    PRIMARY KEY (job, webhook, seq)
);
CREATE INDEX delivery_due_at ON await.delivery_due (host, due, delivery);
CREATE UNIQUE INDEX delivery_due_of ON await.delivery_due (delivery);

-- The hosts of await.delivery_due, so that those who wait for a slow host are passed by without being looked at.
CREATE TABLE await.delivery_host (host text PRIMARY KEY);

CREATE TABLE await.delivery_end (
    delivery bigint PRIMARY KEY,
    state    text NOT NULL CHECK (state IN ('delivered', 'dead')),
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX delivery_end_at ON await.delivery_end (at);
CREATE INDEX delivery_dead ON await.delivery_end (delivery) WHERE state = 'dead';

CREATE TABLE await.delivery_attempt (
    delivery bigint NOT NULL, n int4 NOT NULL,
    at       timestamptz NOT NULL,           -- when it was over
    ms       int4 NOT NULL,                  -- how long it took
    status   int2,                           -- of the response; NULL: there was none
    error    text,                           -- NULL: it was accepted
    PRIMARY KEY (delivery, n)
);

-- What became of deliveries, since the database was created. Sequences, because they are counted without a lock.
CREATE SEQUENCE await.deliveries_delivered MINVALUE 0 START 0;
CREATE SEQUENCE await.deliveries_failed    MINVALUE 0 START 0; -- attempts
CREATE SEQUENCE await.deliveries_dead      MINVALUE 0 START 0;
SELECT setval('await.deliveries_delivered', 0), setval('await.deliveries_failed', 0),
    setval('await.deliveries_dead', 0);      -- so that the first nextval() is 1

ALTER TABLE await.limits ADD delivery_keep interval NOT NULL DEFAULT '7 days'
    CHECK (delivery_keep >= '1 hour');       -- how long a delivery that has ended is listed

ALTER TABLE await.delivery_due SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
