-- The claim codes, counters and events of the registration endpoint.

CREATE TABLE claim (
    -- The first part of the code, which identifies it.
    name TEXT PRIMARY KEY,
    -- The SHA-256 of the complete code, in hex.
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- The expiry as Unix time in seconds.
    until INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    -- The SHA-256 of the public key of the device that used the code, in hex.
    used_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_by_end ON claim (until);

CREATE TABLE claim_count (
    kind TEXT NOT NULL,
    -- The time window of the counter, as Unix times in seconds.
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
