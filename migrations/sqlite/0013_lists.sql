-- Lists of uploaded user ids. What an upload leaves is a cohort whose segment_id is the list's.
-- Times are milliseconds since the epoch. Written by the segments service only.

CREATE TABLE user_list (
    id         TEXT    NOT NULL PRIMARY KEY,
    app_id     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,           -- of its name or its users
    deleted_at INTEGER
) WITHOUT ROWID;

CREATE INDEX user_list_by_app ON user_list (app_id, id);

-- What an upload came to; written together with the cohort.
CREATE TABLE user_list_version (
    list_id       TEXT    NOT NULL,
    version       INTEGER NOT NULL,        -- 1, 2, ...
    app_id        TEXT    NOT NULL,
    upload        TEXT    NOT NULL,        -- add, remove, replace
    cohort_id     TEXT    NOT NULL,        -- also once it is no longer kept
    rows_read     INTEGER NOT NULL,
    rows_rejected INTEGER NOT NULL,
    rows_repeated INTEGER NOT NULL,        -- ids that stood further up
    unknown_users INTEGER NOT NULL,        -- ids that the app has no data of
    ds            INTEGER NOT NULL,        -- YYYYMMDD: the newest data day when it was uploaded
    users         INTEGER NOT NULL,        -- on the list afterwards
    app_users     INTEGER NOT NULL,        -- in the app at that time
    entered       INTEGER NOT NULL,        -- users that were not on the list
    gone          INTEGER NOT NULL,        -- users that are no longer on it
    created_by    TEXT    NOT NULL,        -- id of a key, or local
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (list_id, version)
) WITHOUT ROWID;
