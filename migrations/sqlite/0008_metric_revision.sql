-- A number per app that goes up whenever a row of its metric tables changes, so that answers can be kept.
-- Written by the metrics service only.

CREATE TABLE metric_revision (
    app_id   TEXT    NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
);
