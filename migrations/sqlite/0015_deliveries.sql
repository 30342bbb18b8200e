-- Deliveries of cohorts to destinations that the configuration names.
-- Times are milliseconds since the epoch. Written by the cohorts service only.

CREATE TABLE delivery (
    id          TEXT    NOT NULL PRIMARY KEY,
    app_id      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    subject     TEXT    NOT NULL,          -- a cohort, segment, list or experiment, as it was asked for
    asked       TEXT    NOT NULL,          -- JSON: the request
    job_id      TEXT    NOT NULL,
    cohort_id   TEXT,                      -- that is delivered, once the first attempt has settled it, or exp_…-v3: version 3 of its groups
    since       TEXT,                      -- the cohort before, of changes
    batches     INTEGER NOT NULL,          -- that a webhook has taken
    batch_size  INTEGER,                   -- users of a batch
    manifest    TEXT,                      -- JSON: what was delivered, once it is done
    created_by  TEXT    NOT NULL,          -- id of a key, or local
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    erasure     INTEGER,                   -- of a download: the last erasure that it knows of
    attempt     TEXT,                      -- of a download: the folder of its files, once it is done
    removed_at  INTEGER                    -- when the files of a download went
) WITHOUT ROWID;

CREATE INDEX delivery_by_app ON delivery (app_id, id);
CREATE INDEX delivery_by_subject ON delivery (app_id, subject, destination, finished_at);
