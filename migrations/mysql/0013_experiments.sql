-- Experiments: audiences split into groups. A group's users are a cohort whose segment_id is the experiment's.
-- Times are milliseconds since the epoch, days YYYYMMDD. Written by the cohorts service only.

CREATE TABLE IF NOT EXISTS experiment (
    id            VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id        VARCHAR(128) NOT NULL,
    state         VARCHAR(16)  NOT NULL,  -- draft, starting, running, stopped
    revision      INT UNSIGNED NOT NULL,  -- goes up with every change, so that of two at once the second finds it moved on
    definition    MEDIUMTEXT   NOT NULL,  -- JSON, as its author wrote it
    rule          MEDIUMTEXT   NOT NULL,  -- whose users are split: canonical JSON
    salt          VARCHAR(256) NOT NULL,
    layer         VARCHAR(256) NOT NULL,  -- empty: none
    assignment    MEDIUMTEXT,  -- JSON: who is in which group, once it is started
    job_id        VARCHAR(64),  -- that starts it
    failure       MEDIUMTEXT,  -- JSON: why the last start came to nothing
    version       INT UNSIGNED NOT NULL,  -- of its groups: 1 once it runs, and one more whenever they are made anew
    members       MEDIUMTEXT,  -- JSON: cohorts and users of each group
    population_ds INT UNSIGNED,  -- the day whose data say who is in the audience
    inputs        VARCHAR(64),  -- names the files that they rest on
    from_ds       INT UNSIGNED,  -- the first day that counts
    to_ds         INT UNSIGNED,  -- the last one, once it is stopped
    checked       MEDIUMTEXT,  -- JSON: what the last check came to
    created_by    VARCHAR(128) NOT NULL,  -- id of a key, or local
    created_at    BIGINT       NOT NULL,
    updated_at    BIGINT       NOT NULL,
    started_at    BIGINT,
    stopped_at    BIGINT,
    INDEX experiment_by_app (app_id, id),
    INDEX experiment_by_state (state, app_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Experiments of one layer share no users; each has positions of the layer for itself.
CREATE TABLE IF NOT EXISTS experiment_layer (
    app_id        VARCHAR(128) NOT NULL,
    name          VARCHAR(256) NOT NULL,
    revision      INT UNSIGNED NOT NULL,  -- goes up whenever an experiment takes positions
    PRIMARY KEY (app_id, name)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Users of an app who are in no experiment.
CREATE TABLE IF NOT EXISTS experiment_holdout (
    app_id        VARCHAR(128) NOT NULL PRIMARY KEY,
    share         INT UNSIGNED NOT NULL,  -- millionths
    updated_by    VARCHAR(128) NOT NULL,
    updated_at    BIGINT       NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- How many users the groups had, version by version.
CREATE TABLE IF NOT EXISTS experiment_version (
    experiment_id VARCHAR(64)  NOT NULL,
    version       INT UNSIGNED NOT NULL,
    ds            INT UNSIGNED NOT NULL,  -- the day whose data say who is in the audience
    users         MEDIUMTEXT   NOT NULL,  -- JSON: by group, everybody who was split so far
    created_at    BIGINT       NOT NULL,
    PRIMARY KEY (experiment_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
