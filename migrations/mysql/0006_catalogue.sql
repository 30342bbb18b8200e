-- What the teams of the apps have said of their data: every change, kept. The state at a version is, of each
-- entry, the newest body up to it. Written by the labels service only.

CREATE TABLE IF NOT EXISTS catalogue_change (
    app_id     VARCHAR(128)  NOT NULL,
    version    INT UNSIGNED  NOT NULL,           -- 1, 2, ...
    changed_at BIGINT        NOT NULL,           -- milliseconds since the epoch
    changed_by VARCHAR(128)  NOT NULL,           -- id of a key, or local
    what       VARCHAR(1024) NOT NULL,           -- for people
    PRIMARY KEY (app_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS catalogue_entry (
    app_id  VARCHAR(128) NOT NULL,
    kind    VARCHAR(16)  NOT NULL,               -- settings, label, base_crowd, event
    name    VARCHAR(256) NOT NULL,               -- the label's id, the crowd's code, the event's name
    version INT UNSIGNED NOT NULL,
    body    LONGTEXT,                            -- JSON; NULL: taken out
    PRIMARY KEY (app_id, kind, name, version),
    INDEX catalogue_entry_by_version (app_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
