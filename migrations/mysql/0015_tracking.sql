-- Cohorts that are followed, and what became of them day by day.
-- Times are milliseconds since the epoch, days YYYYMMDD. Written by the cohorts service only.

CREATE TABLE IF NOT EXISTS tracked (
    app_id       VARCHAR(128) NOT NULL,
    subject      VARCHAR(128) NOT NULL,    -- a cohort, segment or list
    from_ds      INT UNSIGNED NOT NULL,    -- the first day
    first_cohort VARCHAR(128) NOT NULL,    -- of the first day: retention is taken of it
    first_users  BIGINT       NOT NULL,
    created_by   VARCHAR(128) NOT NULL,    -- id of a key, or local
    created_at   BIGINT       NOT NULL,
    PRIMARY KEY (app_id, subject)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS tracked_day (
    app_id      VARCHAR(128) NOT NULL,
    subject     VARCHAR(128) NOT NULL,
    ds          INT UNSIGNED NOT NULL,
    cohort_id   VARCHAR(128) NOT NULL,     -- whose users are those of the day
    inputs      VARCHAR(64)  NOT NULL,     -- hash of what it rests on
    figures     MEDIUMTEXT   NOT NULL,     -- JSON: of the cohort and of the app
    computed_at BIGINT       NOT NULL,
    PRIMARY KEY (app_id, subject, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
