-- What the registry of AWS IoT keeps.

CREATE TABLE thing_type (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE policy (
    name TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE thing (
    name TEXT PRIMARY KEY,
    thing_type TEXT NOT NULL REFERENCES thing_type (name),
    version INTEGER NOT NULL,
    -- A JSON object of strings: the owner, and what is known about them.
    attributes TEXT NOT NULL,
    -- Of the attributes, those that are searched for.
    alexa_user TEXT,
    unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX thing_by_alexa_user ON thing (alexa_user) WHERE alexa_user IS NOT NULL;
CREATE INDEX thing_unfinished ON thing (name) WHERE unfinished;

CREATE TABLE certificate (
    -- SHA-256 of the DER form, in hex.
    id TEXT PRIMARY KEY,
    active INTEGER NOT NULL,
    -- The one thing it is attached to, exclusively.
    thing TEXT REFERENCES thing (name),
    made_for TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX certificate_by_thing ON certificate (thing) WHERE thing IS NOT NULL;
CREATE INDEX certificate_by_age ON certificate (made_at);

CREATE TABLE attached_policy (
    certificate TEXT NOT NULL REFERENCES certificate (id) ON DELETE CASCADE,
    policy TEXT NOT NULL REFERENCES policy (name),
    PRIMARY KEY (certificate, policy)
) STRICT, WITHOUT ROWID;

-- A shadow needs no thing. The classic one has the empty name.
CREATE TABLE shadow (
    thing TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (thing, name)
) STRICT, WITHOUT ROWID;

-- Trying mode: who stands where Amazon's users stand.
CREATE TABLE local_user (
    user TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    -- The token that Alexa was given when the account was linked, and its SHA-256 by which it is found.
    token TEXT,
    fingerprint TEXT UNIQUE
) STRICT, WITHOUT ROWID;

-- The simulated device of a user, and the mail whose bundle it was started with.
CREATE TABLE local_device (
    user TEXT PRIMARY KEY,
    mail TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the broker remembers of clients whose session outlives their connection.
CREATE TABLE session (
    client_id TEXT PRIMARY KEY,
    -- How long it outlives the connection, and when it ends; the latter is NULL while the client is connected. Seconds.
    expiry INTEGER NOT NULL,
    ends INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
    client_id TEXT NOT NULL REFERENCES session (client_id) ON DELETE CASCADE,
    filter TEXT NOT NULL,
    -- JSON: QoS, identifier and the options of MQTT 5.
    options TEXT NOT NULL,
    PRIMARY KEY (client_id, filter)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting (
    client_id TEXT NOT NULL REFERENCES session (client_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    -- JSON: all that is about the message but topic and payload.
    about TEXT NOT NULL,
    PRIMARY KEY (client_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    payload BLOB NOT NULL,
    about TEXT NOT NULL
) STRICT, WITHOUT ROWID;
