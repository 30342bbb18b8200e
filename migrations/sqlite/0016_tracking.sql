-- Cohorts that are followed, and what became of them day by day.
-- Times are milliseconds since the epoch, days YYYYMMDD. Written by the cohorts service only.

CREATE TABLE tracked (
    app_id       TEXT    NOT NULL,
    subject      TEXT    NOT NULL,         -- a cohort, segment or list
    from_ds      INTEGER NOT NULL,         -- the first day
    first_cohort TEXT    NOT NULL,         -- of the first day: retention is taken of it
    first_users  INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,         -- id of a key, or local
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (app_id, subject)
) WITHOUT ROWID;

CREATE TABLE tracked_day (
    app_id      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    ds          INTEGER NOT NULL,
    cohort_id   TEXT    NOT NULL,          -- whose users are those of the day
    inputs      TEXT    NOT NULL,          -- hash of what it rests on
    figures     TEXT    NOT NULL,          -- JSON: of the cohort and of the app
    computed_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, subject, ds)
) WITHOUT ROWID;
