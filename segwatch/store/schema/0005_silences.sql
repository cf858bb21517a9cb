-- What somebody does not want to hear of for a while. told: its end was told, and with it what was still wrong.
CREATE TABLE silence (
    id TEXT PRIMARY KEY,
    stream TEXT NOT NULL UNIQUE,
    created_us INTEGER NOT NULL,
    told INTEGER NOT NULL,
    told_us INTEGER,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX silence_untold ON silence (created_us) WHERE told = 0;
