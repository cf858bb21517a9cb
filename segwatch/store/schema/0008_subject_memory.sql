-- What is needed to judge a subject the next time, as JSON: when a schedule should have fired, what was told of an audience.
ALTER TABLE subject ADD COLUMN memory TEXT NOT NULL DEFAULT '{}';
