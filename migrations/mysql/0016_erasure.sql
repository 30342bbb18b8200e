-- Users who are to be erased, and that they were. Times are milliseconds since the epoch.

-- Written by the ingest service only.
CREATE TABLE IF NOT EXISTS erasure (
    id           VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id       VARCHAR(128) NOT NULL,
    job_id       VARCHAR(64)  NOT NULL,
    asked        BIGINT       NOT NULL,            -- how many ids
    ids          LONGTEXT,                         -- JSON: forgotten once they are erased
    known        BIGINT,                           -- how many of them the app had data of
    label_days   BIGINT,                           -- days of labels and events that were written anew
    event_days   BIGINT,
    requested_by VARCHAR(64)  NOT NULL,            -- id of a key, or local
    requested_at BIGINT       NOT NULL,
    finished_at  BIGINT,
    KEY erasure_by_app (app_id, id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Up to which erasure of its app a cohort is clear of erased users. Written by the segments service only.
CREATE TABLE IF NOT EXISTS cohort_erasure (
    cohort_id  VARCHAR(64) NOT NULL PRIMARY KEY,
    generation BIGINT      NOT NULL                -- of the publication that erased
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
