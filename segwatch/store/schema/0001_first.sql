-- Times are integers, microseconds since 1970 in UTC (`_us`): they compare and sort as what they are, which text with and
-- without a fraction does not. `body` is the whole record as JSON; the columns beside it are those that queries ask for.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('heartbeat', 0);

CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    sandbox TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    stream TEXT NOT NULL,
    status TEXT NOT NULL,
    active INTEGER NOT NULL,
    root TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    changed_us INTEGER NOT NULL, -- the last transition or event, whichever is later
    body TEXT NOT NULL,
    UNIQUE (sandbox, kind, id)
) STRICT;
CREATE INDEX job_by_id ON job (id);
CREATE INDEX job_by_change ON job (changed_us);
CREATE INDEX job_by_status ON job (status, changed_us);
CREATE INDEX job_in_chain ON job (sandbox, kind, root);
CREATE INDEX job_finished ON job (changed_us) WHERE active = 0;

CREATE TABLE event (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, whatever is deleted: clients resume behind it
    id TEXT NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    type TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    job_id TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (stream, sequence)
) STRICT;
CREATE INDEX event_of_job ON event (job_id) WHERE job_id <> '';
CREATE INDEX event_beside_jobs ON event (stream) WHERE job_id = '';
CREATE INDEX event_by_time ON event (at_us);

CREATE TABLE channel (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL REFERENCES channel (name),
    position INTEGER NOT NULL REFERENCES event (position),
    stream TEXT NOT NULL,
    stage TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    promised_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX delivery_of_event ON delivery (position, channel);
CREATE INDEX delivery_pending ON delivery (channel, stream, position) WHERE stage = 'pending';
CREATE INDEX delivery_oldest ON delivery (channel, promised_us) WHERE stage = 'pending';
CREATE INDEX delivery_dead ON delivery (position, channel) WHERE stage = 'dead';

-- The first pending delivery of each stream and channel: the only ones that may be tried. Kept beside the outbox so that
-- "what is due" is one walk of an index, however many deliveries wait behind.
CREATE TABLE outbox_head (
    channel TEXT NOT NULL,
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    delivery TEXT NOT NULL REFERENCES delivery (id),
    PRIMARY KEY (channel, stream)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_head_due ON outbox_head (channel, due_us, position);
CREATE INDEX outbox_head_delivery ON outbox_head (delivery);

CREATE TABLE resubmission (
    sandbox TEXT NOT NULL,
    kind TEXT NOT NULL,
    failed_id TEXT NOT NULL,
    root TEXT NOT NULL,
    step TEXT NOT NULL,
    open INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    new_id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (sandbox, kind, failed_id)
) STRICT;
CREATE UNIQUE INDEX resubmission_answers_one ON resubmission (sandbox, new_id) WHERE new_id <> '';
CREATE INDEX resubmission_open ON resubmission (sandbox, kind, root) WHERE open = 1;
CREATE INDEX resubmission_by_step ON resubmission (step, since_us);
CREATE INDEX resubmission_by_time ON resubmission (since_us);

CREATE TABLE stream_position (
    sandbox TEXT NOT NULL,
    kind TEXT NOT NULL,
    began_us INTEGER,
    watermark_us INTEGER,
    frontier_us INTEGER,
    swept_us INTEGER,
    PRIMARY KEY (sandbox, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE subject (
    stream TEXT PRIMARY KEY,
    condition TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
