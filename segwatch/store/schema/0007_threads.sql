-- What a receiver calls the thread in which a channel tells of one alert, while that is open: Slack's `ts` and the like.
CREATE TABLE thread (
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    told_us INTEGER NOT NULL, -- when it was last told of: what nothing closes is forgotten by it
    PRIMARY KEY (channel, subject)
) STRICT, WITHOUT ROWID;
