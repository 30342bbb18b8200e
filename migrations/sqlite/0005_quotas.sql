-- What apps may take, where it differs from the configuration, and what they took.
-- Written by the gateway only.

CREATE TABLE quota (
    app_id     TEXT    NOT NULL,
    class      TEXT    NOT NULL,           -- read, estimate, job
    per_second INTEGER NOT NULL,           -- units
    burst      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,           -- milliseconds since the epoch
    updated_by TEXT    NOT NULL,           -- id of a key, or local
    PRIMARY KEY (app_id, class)
);

CREATE TABLE app_usage (
    ds      INTEGER NOT NULL,              -- UTC day, YYYYMMDD
    app_id  TEXT    NOT NULL,
    class   TEXT    NOT NULL,
    calls   INTEGER NOT NULL,              -- answered, also with an error
    units   INTEGER NOT NULL,              -- of the quota
    refused INTEGER NOT NULL,              -- 429
    PRIMARY KEY (ds, app_id, class)
);
