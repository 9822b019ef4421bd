-- The requests of clients that the broker refused.

CREATE TABLE refusal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- The action, such as iot:Publish; NULL for a packet without an action.
    action TEXT,
    -- The client id, the topic or the topic filter.
    resource TEXT NOT NULL,
    will INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    certificate TEXT NOT NULL,
    thing TEXT,
    source TEXT NOT NULL,
    -- The reason as an identifier and as text.
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    -- The number of refusals with the same cause that this row represents.
    times INTEGER NOT NULL
) STRICT;

CREATE INDEX refusal_by_certificate ON refusal (certificate, number);
CREATE INDEX refusal_by_thing ON refusal (thing, number) WHERE thing IS NOT NULL;
CREATE INDEX refusal_by_client_id ON refusal (client_id, number) WHERE thing IS NULL;
