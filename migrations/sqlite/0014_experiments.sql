-- Experiments: audiences split into groups. A group's users are a cohort whose segment_id is the experiment's.
-- Times are milliseconds since the epoch, days YYYYMMDD. Written by the cohorts service only.

CREATE TABLE experiment (
    id            TEXT    NOT NULL PRIMARY KEY,
    app_id        TEXT    NOT NULL,
    state         TEXT    NOT NULL,        -- draft, starting, running, stopped
    revision      INTEGER NOT NULL,        -- goes up with every change, so that of two at once the second finds it moved on
    definition    TEXT    NOT NULL,        -- JSON, as its author wrote it
    rule          TEXT    NOT NULL,        -- whose users are split: canonical JSON
    salt          TEXT    NOT NULL,
    layer         TEXT    NOT NULL,        -- empty: none
    assignment    TEXT,                    -- JSON: who is in which group, once it is started
    job_id        TEXT,                    -- that starts it
    failure       TEXT,                    -- JSON: why the last start came to nothing
    version       INTEGER NOT NULL,        -- of its groups: 1 once it runs, and one more whenever they are made anew
    members       TEXT,                    -- JSON: cohorts and users of each group
    population_ds INTEGER,                 -- the day whose data say who is in the audience
    inputs        TEXT,                    -- names the files that they rest on
    from_ds       INTEGER,                 -- the first day that counts
    to_ds         INTEGER,                 -- the last one, once it is stopped
    checked       TEXT,                    -- JSON: what the last check came to
    created_by    TEXT    NOT NULL,        -- id of a key, or local
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    started_at    INTEGER,
    stopped_at    INTEGER
) WITHOUT ROWID;

CREATE INDEX experiment_by_app ON experiment (app_id, id);
CREATE INDEX experiment_by_state ON experiment (state, app_id);

-- Experiments of one layer share no users; each has positions of the layer for itself.
CREATE TABLE experiment_layer (
    app_id   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    revision INTEGER NOT NULL,             -- goes up whenever an experiment takes positions
    PRIMARY KEY (app_id, name)
) WITHOUT ROWID;

-- Users of an app who are in no experiment.
CREATE TABLE experiment_holdout (
    app_id     TEXT    NOT NULL PRIMARY KEY,
    share      INTEGER NOT NULL,           -- millionths
    updated_by TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- How many users the groups had, version by version.
CREATE TABLE experiment_version (
    experiment_id TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    ds            INTEGER NOT NULL,        -- the day whose data say who is in the audience
    users         TEXT    NOT NULL,        -- JSON: by group, everybody who was split so far
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (experiment_id, version)
) WITHOUT ROWID;
