-- Trying mode: the conversations with the simulated Echos, and the cards of the Alexa app.

CREATE TABLE local_turn (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL REFERENCES local_user (user) ON DELETE CASCADE,
    -- JSON, without access tokens.
    turn TEXT NOT NULL
) STRICT;

CREATE INDEX local_turn_by_user ON local_turn (user, number);

CREATE TABLE local_card (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL REFERENCES local_user (user) ON DELETE CASCADE,
    card TEXT NOT NULL
) STRICT;

CREATE INDEX local_card_by_user ON local_card (user, number);
