-- What apps may take, where it differs from the configuration, and what they took.
-- Written by the gateway only.

CREATE TABLE IF NOT EXISTS quota (
    app_id     VARCHAR(128) NOT NULL,
    class      VARCHAR(16)  NOT NULL,            -- read, estimate, job
    per_second BIGINT       NOT NULL,            -- units
    burst      BIGINT       NOT NULL,
    updated_at BIGINT       NOT NULL,            -- milliseconds since the epoch
    updated_by VARCHAR(128) NOT NULL,            -- id of a key, or local
    PRIMARY KEY (app_id, class)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS app_usage (
    ds      INT UNSIGNED NOT NULL,               -- UTC day, YYYYMMDD
    app_id  VARCHAR(128) NOT NULL,
    class   VARCHAR(16)  NOT NULL,
    calls   BIGINT       NOT NULL,               -- answered, also with an error
    units   BIGINT       NOT NULL,               -- of the quota
    refused BIGINT       NOT NULL,               -- 429
    PRIMARY KEY (ds, app_id, class)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);
