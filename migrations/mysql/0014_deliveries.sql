-- Deliveries of cohorts to destinations that the configuration names.
-- Times are milliseconds since the epoch. Written by the cohorts service only.

CREATE TABLE IF NOT EXISTS delivery (
    id          VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id      VARCHAR(128) NOT NULL,
    destination VARCHAR(128) NOT NULL,
    subject     VARCHAR(128) NOT NULL,     -- a cohort, segment, list or experiment, as it was asked for
    asked       MEDIUMTEXT   NOT NULL,     -- JSON: the request
    job_id      VARCHAR(64)  NOT NULL,
    cohort_id   VARCHAR(128),              -- that is delivered, once the first attempt has settled it, or exp_…-v3: version 3 of its groups
    since       VARCHAR(128),              -- the cohort before, of changes
    batches     BIGINT       NOT NULL,     -- that a webhook has taken
    batch_size  BIGINT,                    -- users of a batch
    manifest    MEDIUMTEXT,                -- JSON: what was delivered, once it is done
    created_by  VARCHAR(128) NOT NULL,     -- id of a key, or local
    created_at  BIGINT       NOT NULL,
    finished_at BIGINT,
    erasure     BIGINT,                    -- of a download: the last erasure that it knows of
    attempt     VARCHAR(64),               -- of a download: the folder of its files, once it is done
    removed_at  BIGINT,                    -- when the files of a download went
    INDEX delivery_by_app (app_id, id),
    INDEX delivery_by_subject (app_id, subject, destination, finished_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
