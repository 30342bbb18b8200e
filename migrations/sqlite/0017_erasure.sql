-- Users who are to be erased, and that they were. Times are milliseconds since the epoch.

-- Written by the ingest service only.
CREATE TABLE erasure (
    id           TEXT    NOT NULL PRIMARY KEY,
    app_id       TEXT    NOT NULL,
    job_id       TEXT    NOT NULL,
    asked        INTEGER NOT NULL,         -- how many ids
    ids          TEXT,                     -- JSON: forgotten once they are erased
    known        INTEGER,                  -- how many of them the app had data of
    label_days   INTEGER,                  -- days of labels and events that were written anew
    event_days   INTEGER,
    requested_by TEXT    NOT NULL,         -- id of a key, or local
    requested_at INTEGER NOT NULL,
    finished_at  INTEGER
) WITHOUT ROWID;

CREATE INDEX erasure_by_app ON erasure (app_id, id);

-- Up to which erasure of its app a cohort is clear of erased users. Written by the segments service only.
CREATE TABLE cohort_erasure (
    cohort_id  TEXT    NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL            -- of the publication that erased
) WITHOUT ROWID;
