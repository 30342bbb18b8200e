-- Segments, their versions, and the cohorts made of them.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE segment (
    id         TEXT    NOT NULL PRIMARY KEY,
    app_id     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    refresh    TEXT    NOT NULL,           -- manual, daily
    version    INTEGER NOT NULL,           -- the newest one
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER                     -- cohorts made of it stay
);

CREATE INDEX segment_by_app ON segment (app_id, id);

CREATE TABLE segment_version (
    segment_id TEXT    NOT NULL,
    version    INTEGER NOT NULL,           -- 1, 2, ...
    rule       TEXT    NOT NULL,           -- canonical JSON
    created_by TEXT    NOT NULL,           -- id of a key, or local
    created_at INTEGER NOT NULL,
    PRIMARY KEY (segment_id, version)
);

CREATE TABLE cohort (
    id              TEXT    NOT NULL PRIMARY KEY,
    app_id          TEXT    NOT NULL,
    segment_id      TEXT    NOT NULL,
    segment_version INTEGER NOT NULL,
    job_id          TEXT    NOT NULL UNIQUE, -- a job makes one cohort, however often it runs
    ds              INTEGER NOT NULL,        -- YYYYMMDD
    size            INTEGER NOT NULL,
    universe_size   INTEGER NOT NULL,
    hash            TEXT    NOT NULL,        -- of the members' ids, whatever their order
    rule            TEXT    NOT NULL,        -- canonical JSON, as_of filled in
    freshness       TEXT    NOT NULL,        -- JSON
    inputs          TEXT    NOT NULL,        -- names the exact data files it was computed from
    created_at      INTEGER NOT NULL
);

CREATE INDEX cohort_by_app ON cohort (app_id, id);
CREATE INDEX cohort_by_segment ON cohort (segment_id, id);
