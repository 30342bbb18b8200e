-- Segments that are refreshed daily: what they do without their data, and what each day came to.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE segment_refresh (
    segment_id TEXT NOT NULL PRIMARY KEY,
    on_missing TEXT NOT NULL               -- last, wait, skip
) WITHOUT ROWID;

-- A day is made once: the row that says so is written together with the cohort.
CREATE TABLE segment_day (
    segment_id TEXT    NOT NULL,
    ds         INTEGER NOT NULL,           -- YYYYMMDD
    app_id     TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,           -- made, waiting, skipped, refused, below_floor
    detail     TEXT    NOT NULL,           -- JSON: what is missing, or why not
    cohort_id  TEXT,
    previous   TEXT,                       -- the cohort of the day made before
    entered    INTEGER,                    -- members that it had not
    gone       INTEGER,                    -- members of it that are none any more
    job_id     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (segment_id, ds)
) WITHOUT ROWID;

CREATE INDEX segment_day_by_app ON segment_day (app_id, ds);
CREATE INDEX segment_day_by_cohort ON segment_day (cohort_id);
