-- Which sinks the leader of the relays of a name has (await.relay_open): a row each, with the token by which it leads.
-- A cursor without such a row is moved by nobody, although somebody leads.
CREATE TABLE await.relay_sink (
    relay text NOT NULL,
    token bigint NOT NULL,
    sink  text NOT NULL,
    PRIMARY KEY (relay, token, sink)
);
