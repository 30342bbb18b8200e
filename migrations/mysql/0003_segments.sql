-- Segments, their versions, and the cohorts made of them.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE IF NOT EXISTS segment (
    id         VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id     VARCHAR(128) NOT NULL,
    name       VARCHAR(256) NOT NULL,
    refresh    VARCHAR(16)  NOT NULL,            -- manual, daily
    version    INT UNSIGNED NOT NULL,            -- the newest one
    created_at BIGINT       NOT NULL,
    updated_at BIGINT       NOT NULL,
    deleted_at BIGINT,                           -- cohorts made of it stay
    INDEX segment_by_app (app_id, id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS segment_version (
    segment_id VARCHAR(64)  NOT NULL,
    version    INT UNSIGNED NOT NULL,            -- 1, 2, ...
    rule       LONGTEXT     NOT NULL,            -- canonical JSON
    created_by VARCHAR(128) NOT NULL,            -- id of a key, or local
    created_at BIGINT       NOT NULL,
    PRIMARY KEY (segment_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS cohort (
    id              VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id          VARCHAR(128) NOT NULL,
    segment_id      VARCHAR(64)  NOT NULL,
    segment_version INT UNSIGNED NOT NULL,
    job_id          VARCHAR(64)  NOT NULL UNIQUE, -- a job makes one cohort, however often it runs
    ds              INT UNSIGNED NOT NULL,        -- YYYYMMDD
    size            BIGINT       NOT NULL,
    universe_size   BIGINT       NOT NULL,
    hash            VARCHAR(64)  NOT NULL,        -- of the members' ids, whatever their order
    rule            LONGTEXT     NOT NULL,        -- canonical JSON, as_of filled in
    freshness       LONGTEXT     NOT NULL,        -- JSON
    inputs          LONGTEXT     NOT NULL,        -- names the exact data files it was computed from
    created_at      BIGINT       NOT NULL,
    INDEX cohort_by_app (app_id, id),
    INDEX cohort_by_segment (segment_id, id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
