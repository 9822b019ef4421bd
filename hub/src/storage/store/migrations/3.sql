-- Mail that went out or waits for that, and the place of simulated devices.

CREATE TABLE outgoing_mail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Seconds since the epoch: when it was handed over, and when its state was last looked at.
    at INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    -- Whose certificate is in it; NULL for a mail without one.
    thing TEXT,
    certificate TEXT,
    sender TEXT NOT NULL,
    -- The whole address while it waits, afterwards a masked one.
    recipient TEXT NOT NULL,
    -- The message, while it waits: there is a private key in it.
    message BLOB,
    -- `waiting`, `sent`, `failed`, or `dropped`, where nobody wants it any more.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- Milliseconds since the epoch; NULL where there is no next attempt.
    next_attempt INTEGER,
    -- Who must act, and why it did not go out at the last attempt.
    fault TEXT,
    failure TEXT
) STRICT;

CREATE INDEX outgoing_mail_waiting ON outgoing_mail (next_attempt) WHERE next_attempt IS NOT NULL;
CREATE INDEX outgoing_mail_by_thing ON outgoing_mail (thing, number);

-- Where the device was started, as devices.rs names a place: a copy of the folder elsewhere does not start it again.
ALTER TABLE local_device ADD COLUMN place TEXT;
