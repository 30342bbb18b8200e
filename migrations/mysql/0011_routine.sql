-- Segments that are refreshed daily: what they do without their data, and what each day came to.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE IF NOT EXISTS segment_refresh (
    segment_id VARCHAR(64) NOT NULL PRIMARY KEY,
    on_missing VARCHAR(16) NOT NULL              -- last, wait, skip
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- A day is made once: the row that says so is written together with the cohort.
CREATE TABLE IF NOT EXISTS segment_day (
    segment_id VARCHAR(64)  NOT NULL,
    ds         INT UNSIGNED NOT NULL,            -- YYYYMMDD
    app_id     VARCHAR(128) NOT NULL,
    outcome    VARCHAR(16)  NOT NULL,            -- made, waiting, skipped, refused, below_floor
    detail     LONGTEXT     NOT NULL,            -- JSON: what is missing, or why not
    cohort_id  VARCHAR(64),
    previous   VARCHAR(64),                      -- the cohort of the day made before
    entered    BIGINT,                           -- members that it had not
    gone       BIGINT,                           -- members of it that are none any more
    job_id     VARCHAR(64)  NOT NULL,
    updated_at BIGINT       NOT NULL,
    PRIMARY KEY (segment_id, ds),
    INDEX segment_day_by_app (app_id, ds),
    INDEX segment_day_by_cohort (cohort_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
