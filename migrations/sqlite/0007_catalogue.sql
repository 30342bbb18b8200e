-- What the teams of the apps have said of their data: every change, kept. The state at a version is, of each
-- entry, the newest body up to it. Written by the labels service only.

CREATE TABLE catalogue_change (
    app_id     TEXT    NOT NULL,
    version    INTEGER NOT NULL,           -- 1, 2, ...
    changed_at INTEGER NOT NULL,           -- milliseconds since the epoch
    changed_by TEXT    NOT NULL,           -- id of a key, or local
    what       TEXT    NOT NULL,           -- for people
    PRIMARY KEY (app_id, version)
);

CREATE TABLE catalogue_entry (
    app_id  TEXT    NOT NULL,
    kind    TEXT    NOT NULL,              -- settings, label, base_crowd, event
    name    TEXT    NOT NULL,              -- the label's id, the crowd's code, the event's name
    version INTEGER NOT NULL,
    body    TEXT,                          -- JSON; NULL: taken out
    PRIMARY KEY (app_id, kind, name, version)
);

CREATE INDEX catalogue_entry_by_version ON catalogue_entry (app_id, version);
