-- Up to where alerts know of the log. What was logged before there were alerts has been told already.
INSERT INTO meta (name, value) SELECT 'alerted', coalesce(max(position), 0) FROM event;

-- What is wrong, and since when; what is over is kept as long as events are. `body` is the whole record as JSON.
CREATE TABLE alert (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    open INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alert_open ON alert (subject) WHERE open = 1;
CREATE INDEX alert_by_change ON alert (changed_us) WHERE open = 0;

-- Alerts that a channel is told of together. A group that has nothing left to tell is deleted; its messages are events.
CREATE TABLE alert_group (
    id TEXT PRIMARY KEY,
    stream TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
