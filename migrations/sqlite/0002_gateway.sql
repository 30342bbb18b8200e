-- API keys, answers kept for repeated requests, and who wrote what.
-- Times are milliseconds since the epoch. Written by the gateway only.

CREATE TABLE api_key (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       TEXT    NOT NULL UNIQUE,     -- SHA-256 of the key in hex; the key itself is nowhere
    apps       TEXT    NOT NULL,            -- JSON: "*" or a list of app ids
    roles      TEXT    NOT NULL,            -- JSON: a list of role names
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    last_used  INTEGER                      -- to the minute
);

CREATE TABLE idempotency (
    caller       TEXT    NOT NULL,
    request_key  TEXT    NOT NULL,          -- the Idempotency-Key
    fingerprint  TEXT    NOT NULL,          -- SHA-256 of the request in hex
    instance     TEXT    NOT NULL,          -- the process that runs it, or ran it
    created_at   INTEGER NOT NULL,
    status       INTEGER,                   -- null while it runs
    content_type TEXT,
    location     TEXT,
    body         BLOB,
    PRIMARY KEY (caller, request_key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE audit (
    id         TEXT    NOT NULL PRIMARY KEY, -- ULID: sorts by time
    at         INTEGER NOT NULL,
    caller     TEXT    NOT NULL,            -- key id, or local
    app_id     TEXT,                        -- null where the path names none
    method     TEXT    NOT NULL,
    route      TEXT    NOT NULL,            -- the pattern, never the path: a path can hold a user id
    status     INTEGER NOT NULL,
    request_id TEXT    NOT NULL
);
