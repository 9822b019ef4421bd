-- The registry, with the data model of AWS IoT.

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
    -- A JSON object of strings: the owner, and the record of the skill.
    attributes TEXT NOT NULL,
    -- Copies of attributes for searches.
    alexa_user TEXT,
    unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX thing_by_alexa_user ON thing (alexa_user) WHERE alexa_user IS NOT NULL;
CREATE INDEX thing_unfinished ON thing (name) WHERE unfinished;

CREATE TABLE certificate (
    -- The SHA-256 of the DER form, in hex.
    id TEXT PRIMARY KEY,
    active INTEGER NOT NULL,
    -- The only thing that the certificate is attached to.
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

-- A shadow can exist without a thing in the registry. The classic shadow has the empty name.
CREATE TABLE shadow (
    thing TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (thing, name)
) STRICT, WITHOUT ROWID;

-- Trying mode: the local users in place of Amazon's users.
CREATE TABLE local_user (
    user TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    -- The access token of the linked account, and its SHA-256 for look-ups.
    token TEXT,
    fingerprint TEXT UNIQUE
) STRICT, WITHOUT ROWID;

-- The simulated device of a user, and the mail with the bundle that the device was started with.
CREATE TABLE local_device (
    user TEXT PRIMARY KEY,
    mail TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The persistent MQTT sessions of the broker.
CREATE TABLE session (
    client_id TEXT PRIMARY KEY,
    -- The session expiry interval, and the Unix time of the expiry, both in seconds. The latter is NULL while the client is
    -- connected.
    expiry INTEGER NOT NULL,
    ends INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
    client_id TEXT NOT NULL REFERENCES session (client_id) ON DELETE CASCADE,
    filter TEXT NOT NULL,
    -- JSON: the QoS, the subscription identifier and the subscription options of MQTT 5.
    options TEXT NOT NULL,
    PRIMARY KEY (client_id, filter)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting (
    client_id TEXT NOT NULL REFERENCES session (client_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    -- JSON: the other data of the message.
    about TEXT NOT NULL,
    PRIMARY KEY (client_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    payload BLOB NOT NULL,
    about TEXT NOT NULL
) STRICT, WITHOUT ROWID;
