-- API keys, answers kept for repeated requests, and who wrote what.
-- Times are milliseconds since the epoch. Written by the gateway only.

CREATE TABLE IF NOT EXISTS api_key (
    id         VARCHAR(64)  NOT NULL PRIMARY KEY,
    name       VARCHAR(128) NOT NULL,
    hash       VARCHAR(64)  NOT NULL UNIQUE,     -- SHA-256 of the key in hex; the key itself is nowhere
    apps       LONGTEXT     NOT NULL,            -- JSON: "*" or a list of app ids
    roles      LONGTEXT     NOT NULL,            -- JSON: a list of role names
    created_at BIGINT       NOT NULL,
    revoked_at BIGINT,
    last_used  BIGINT                            -- to the minute
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS idempotency (
    caller       VARCHAR(128) NOT NULL,
    request_key  VARCHAR(255) NOT NULL,          -- the Idempotency-Key
    fingerprint  VARCHAR(64)  NOT NULL,          -- SHA-256 of the request in hex
    instance     VARCHAR(64)  NOT NULL,          -- the process that runs it, or ran it
    lease_until  BIGINT       NOT NULL DEFAULT 0, -- it is that process's until then
    created_at   BIGINT       NOT NULL,
    status       BIGINT,                         -- null while it runs
    content_type VARCHAR(255),
    location     LONGTEXT,
    body         LONGBLOB,
    PRIMARY KEY (caller, request_key),
    INDEX idempotency_by_age (created_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit (
    id         VARCHAR(64)  NOT NULL PRIMARY KEY, -- ULID: sorts by time
    at         BIGINT       NOT NULL,
    caller     VARCHAR(128) NOT NULL,            -- key id, or local
    app_id     LONGTEXT,                        -- null where the path names none
    method     VARCHAR(16)  NOT NULL,
    route      LONGTEXT     NOT NULL,            -- the pattern, never the path: a path can hold a user id
    status     BIGINT       NOT NULL,
    request_id VARCHAR(64)  NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
