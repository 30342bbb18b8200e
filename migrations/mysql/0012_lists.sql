-- Lists of uploaded user ids. What an upload leaves is a cohort whose segment_id is the list's.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE IF NOT EXISTS user_list (
    id         VARCHAR(64)  NOT NULL PRIMARY KEY,
    app_id     VARCHAR(128) NOT NULL,
    name       VARCHAR(256) NOT NULL,
    created_at BIGINT       NOT NULL,
    updated_at BIGINT       NOT NULL,            -- of its name or its users
    deleted_at BIGINT,
    INDEX user_list_by_app (app_id, id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- What an upload came to; written together with the cohort.
CREATE TABLE IF NOT EXISTS user_list_version (
    list_id       VARCHAR(64)  NOT NULL,
    version       INT UNSIGNED NOT NULL,         -- 1, 2, ...
    app_id        VARCHAR(128) NOT NULL,
    upload        VARCHAR(16)  NOT NULL,         -- add, remove, replace
    cohort_id     VARCHAR(64)  NOT NULL,         -- also once it is no longer kept
    rows_read     BIGINT       NOT NULL,
    rows_rejected BIGINT       NOT NULL,
    rows_repeated BIGINT       NOT NULL,         -- ids that stood further up
    unknown_users BIGINT       NOT NULL,         -- ids that the app has no data of
    ds            INT UNSIGNED NOT NULL,         -- YYYYMMDD: the newest data day when it was uploaded
    users         BIGINT       NOT NULL,         -- on the list afterwards
    app_users     BIGINT       NOT NULL,         -- in the app at that time
    entered       BIGINT       NOT NULL,         -- users that were not on the list
    gone          BIGINT       NOT NULL,         -- users that are no longer on it
    created_by    VARCHAR(128) NOT NULL,         -- id of a key, or local
    created_at    BIGINT       NOT NULL,
    PRIMARY KEY (list_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
