-- A number per app that goes up whenever a row of its metric tables changes, so that answers can be kept.
-- Written by the metrics service only.

CREATE TABLE IF NOT EXISTS metric_revision (
    app_id   VARCHAR(128) NOT NULL PRIMARY KEY,
    revision BIGINT       NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
