-- What clients of the broker were refused.

CREATE TABLE refusal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- Such as iot:Publish; NULL for a packet that belongs to no action.
    action TEXT,
    -- The client id, topic or topic filter.
    resource TEXT NOT NULL,
    will INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    certificate TEXT NOT NULL,
    thing TEXT,
    source TEXT NOT NULL,
    -- Why, by a name and in words.
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    -- For how many refusals of one cause the row stands.
    times INTEGER NOT NULL
) STRICT;

CREATE INDEX refusal_by_certificate ON refusal (certificate, number);
CREATE INDEX refusal_by_thing ON refusal (thing, number) WHERE thing IS NOT NULL;
CREATE INDEX refusal_by_client_id ON refusal (client_id, number) WHERE thing IS NULL;
