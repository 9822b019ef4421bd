-- Outgoing mail, and the location of simulated devices.

CREATE TABLE outgoing_mail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Unix times in seconds: when the mail was queued, and when the row was last updated.
    at INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    -- The thing whose certificate the mail contains; NULL for a mail without a certificate.
    thing TEXT,
    certificate TEXT,
    sender TEXT NOT NULL,
    -- The complete address while the mail waits, and a masked address afterwards.
    recipient TEXT NOT NULL,
    -- The message while the mail waits. It contains a private key.
    message BLOB,
    -- `waiting`, `sent`, `failed`, or `dropped` for an obsolete mail.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- Unix time in milliseconds; NULL if there is no next attempt.
    next_attempt INTEGER,
    -- Who must act, and the error of the last attempt.
    fault TEXT,
    failure TEXT
) STRICT;

CREATE INDEX outgoing_mail_waiting ON outgoing_mail (next_attempt) WHERE next_attempt IS NOT NULL;
CREATE INDEX outgoing_mail_by_thing ON outgoing_mail (thing, number);

-- The location of the data folder in which the device was started (place.rs). In a copy of the folder the device does not start
-- automatically.
ALTER TABLE local_device ADD COLUMN place TEXT;
