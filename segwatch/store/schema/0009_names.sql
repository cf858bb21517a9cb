-- What segments and datasets are called on the platform, as it said last; an empty name where it knows none.
CREATE TABLE name (
    sandbox TEXT NOT NULL,
    sort TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    at_us INTEGER NOT NULL, -- when it said so
    PRIMARY KEY (sandbox, sort, id)
) STRICT, WITHOUT ROWID;
