-- Jobs. The row is the truth about a job; the queue only carries its id.
-- Times are milliseconds since the epoch. Written by the jobs crate only.

CREATE TABLE job (
    id           TEXT    NOT NULL PRIMARY KEY,
    app_id       TEXT,
    owner        TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    priority     INTEGER NOT NULL,          -- 0 interactive, 1 routine: lower goes first
    payload      TEXT    NOT NULL,          -- JSON
    state        TEXT    NOT NULL,          -- queued, running, done, failed, cancelled
    progress     REAL    NOT NULL DEFAULT 0,
    attempt      INTEGER NOT NULL DEFAULT 0, -- 1 while it runs for the first time
    max_attempts INTEGER NOT NULL,
    not_before   INTEGER NOT NULL,          -- a queued job waits until then
    lease_until  INTEGER,                   -- a running job belongs to its claim until then
    claim        TEXT,                      -- who runs it: new for every attempt
    error        TEXT,                      -- JSON: why it failed, or why the last attempt did
    result       TEXT,                      -- JSON
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER
);

CREATE INDEX job_by_state ON job (state, kind, priority, id);
CREATE INDEX job_by_app ON job (app_id, id);
