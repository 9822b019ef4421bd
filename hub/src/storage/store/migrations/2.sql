-- What stands at the endpoint where devices register themselves.

CREATE TABLE claim (
    -- The half of the code that names it.
    name TEXT PRIMARY KEY,
    -- SHA-256 of the whole, in hex.
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- Seconds since the epoch: from then on it is good for nothing.
    until INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    -- SHA-256 of the public key of the device that used it, in hex.
    used_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_by_end ON claim (until);

CREATE TABLE claim_count (
    kind TEXT NOT NULL,
    -- The window of time in which it is counted, in seconds since the epoch.
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (kind, begins, ends)
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_count_by_end ON claim_count (ends);

CREATE TABLE registration_event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    source TEXT NOT NULL,
    knocked_with TEXT NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    thing TEXT,
    certificate TEXT,
    label TEXT
) STRICT;
