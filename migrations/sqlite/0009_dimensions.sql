-- What the values of an event's dimensions come to, by data day. Times are milliseconds since the epoch.
-- Written by the metrics service only.

-- The values with most pv, and only so many of them (metrics.dimension_values).
CREATE TABLE metric_dimension (
    app_id    TEXT    NOT NULL,
    event     TEXT    NOT NULL,
    dimension TEXT    NOT NULL,
    ds        INTEGER NOT NULL,            -- YYYYMMDD
    place     INTEGER NOT NULL,            -- 1: the value with most pv
    value     TEXT    NOT NULL,
    pv        INTEGER NOT NULL,
    users     INTEGER NOT NULL,
    PRIMARY KEY (app_id, event, dimension, ds, place)
) WITHOUT ROWID;

-- What all values come to, and how much of that is not in metric_dimension. Replaced together with its
-- values.
CREATE TABLE metric_dimension_day (
    app_id      TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    dimension   TEXT    NOT NULL,
    ds          INTEGER NOT NULL,
    value_count INTEGER NOT NULL,
    pv          INTEGER NOT NULL,          -- of rows that carry the dimension
    rest_count  INTEGER NOT NULL,          -- values that have no row of their own
    rest_pv     INTEGER NOT NULL,
    fingerprint TEXT    NOT NULL,          -- names the exact data file it was computed from
    computed_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, event, dimension, ds)
) WITHOUT ROWID;
