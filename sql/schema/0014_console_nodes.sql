-- The nginx servers that have a console, as they describe themselves every few seconds (await.edge_report): their
-- clients, the jobs that their consoles show, and who watches the jobs that any console shows. Nothing here needs to
-- outlive a crash.
CREATE UNLOGGED TABLE await.edge_node (
    id     uuid PRIMARY KEY, -- of one start of nginx
    name   text NOT NULL,    -- of its host
    at     timestamptz NOT NULL,
    report jsonb NOT NULL
) WITH (fillfactor = 50);
