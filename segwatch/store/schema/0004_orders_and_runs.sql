-- A job that we want once: what is asked, and how far it came. At most one job ever answers a row.
CREATE TABLE job_order (
    id TEXT PRIMARY KEY,
    sandbox TEXT NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    step TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    posted_us INTEGER,
    job_id TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- two processes never post equal orders at the same time, and one job answers one order
CREATE UNIQUE INDEX job_order_posting ON job_order (sandbox, kind, fingerprint) WHERE step = 'posting';
CREATE UNIQUE INDEX job_order_placed ON job_order (sandbox, kind, job_id) WHERE step = 'placed';
CREATE INDEX job_order_equal ON job_order (sandbox, kind, fingerprint);
CREATE INDEX job_order_by_step ON job_order (sandbox, step, since_us);
CREATE INDEX job_order_by_job ON job_order (sandbox, kind, job_id) WHERE job_id <> '';
CREATE INDEX job_order_spent ON job_order (sandbox, kind, posted_us) WHERE posted_us IS NOT NULL;

-- Since when a pipeline of this name is followed: what ended before begins no run.
CREATE TABLE pipeline (
    sandbox TEXT NOT NULL,
    name TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (sandbox, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_run (
    id TEXT PRIMARY KEY,
    sandbox TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    cause TEXT NOT NULL,
    stream TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    open INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    version INTEGER NOT NULL,
    began_us INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (sandbox, pipeline, cause) -- one trigger begins one run, whatever crashes
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_run_open ON pipeline_run (sandbox, pipeline, began_us) WHERE open = 1;
CREATE INDEX pipeline_run_by_time ON pipeline_run (changed_us);

-- When the platform was asked for this evaluation, if no schedule began it: those are counted. NULL for all other jobs.
ALTER TABLE job ADD COLUMN on_demand_us INTEGER;
UPDATE job SET on_demand_us = 1000000 * CAST(strftime('%s', coalesce(
        json_extract(body, '$.created_at'), json_extract(body, '$.discovered_at'))) AS INTEGER)
    WHERE kind = 'segment_job' AND json_valid(body) AND coalesce(json_extract(body, '$.facts.source'), '') <> 'scheduler'
    AND coalesce(json_extract(body, '$.facts.schedule_id'), '') = '';
CREATE INDEX job_on_demand ON job (sandbox, on_demand_us) WHERE on_demand_us IS NOT NULL;
