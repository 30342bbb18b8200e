-- Jobs. The row is the truth about a job; the queue only carries its id.
-- Times are milliseconds since the epoch. Written by the jobs crate only.
-- Every file here may be applied twice: DDL is not undone when a server dies half way.

CREATE TABLE IF NOT EXISTS job (
    id           VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id       VARCHAR(128),
    owner        VARCHAR(128) NOT NULL,
    party        VARCHAR(128) NOT NULL,          -- whose share it takes: the app, or its owner where it names none
    kind         VARCHAR(64)  NOT NULL,
    priority     BIGINT       NOT NULL,          -- 0 interactive, 1 routine: lower goes first
    payload      LONGTEXT     NOT NULL,          -- JSON
    state        VARCHAR(16)  NOT NULL,          -- queued, running, done, failed, cancelled
    progress     DOUBLE       NOT NULL DEFAULT 0,
    attempt      BIGINT       NOT NULL DEFAULT 0,
    max_attempts BIGINT       NOT NULL,
    not_before   BIGINT       NOT NULL,          -- a queued job waits until then
    lease_until  BIGINT,                         -- a running job belongs to its claim until then
    claim        VARCHAR(64),                    -- who runs it: new for every attempt
    error        LONGTEXT,                       -- JSON: why it failed, or why the last attempt did
    result       LONGTEXT,                       -- JSON
    trace        VARCHAR(64),                    -- W3C traceparent of the request that made it
    created_at   BIGINT       NOT NULL,
    started_at   BIGINT,
    finished_at  BIGINT,
    INDEX job_by_state (state, kind, priority, id),
    INDEX job_by_app (app_id, id),
    INDEX job_by_party (kind, state, party, id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
