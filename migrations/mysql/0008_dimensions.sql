-- What the values of an event's dimensions come to, by data day. Times are milliseconds since the epoch.
-- Written by the metrics service only.

-- The values with most pv, and only so many of them (metrics.dimension_values).
CREATE TABLE IF NOT EXISTS metric_dimension (
    app_id    VARCHAR(128)  NOT NULL,
    event     VARCHAR(256)  NOT NULL,
    dimension VARCHAR(128)  NOT NULL,
    ds        INT UNSIGNED  NOT NULL,            -- YYYYMMDD
    place     BIGINT        NOT NULL,            -- 1: the value with most pv
    value     VARCHAR(4096) NOT NULL,
    pv        BIGINT        NOT NULL,
    users     BIGINT        NOT NULL,
    PRIMARY KEY (app_id, event, dimension, ds, place)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- What all values come to, and how much of that is not in metric_dimension. Replaced together with its
-- values.
CREATE TABLE IF NOT EXISTS metric_dimension_day (
    app_id      VARCHAR(128) NOT NULL,
    event       VARCHAR(256) NOT NULL,
    dimension   VARCHAR(128) NOT NULL,
    ds          INT UNSIGNED NOT NULL,
    value_count BIGINT       NOT NULL,
    pv          BIGINT       NOT NULL,           -- of rows that carry the dimension
    rest_count  BIGINT       NOT NULL,           -- values that have no row of their own
    rest_pv     BIGINT       NOT NULL,
    fingerprint VARCHAR(64)  NOT NULL,           -- names the exact data file it was computed from
    computed_at BIGINT       NOT NULL,
    PRIMARY KEY (app_id, event, dimension, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);
