-- The profile of each app and of its base crowds, by data day. Times are milliseconds since the epoch.
-- Written by the metrics service only.

-- Users of a crowd who carry a tag. A tag that nobody in the crowd carries has no row.
CREATE TABLE metric_cell (
    app_id   TEXT    NOT NULL,
    label_id INTEGER NOT NULL,
    crowd    TEXT    NOT NULL,             -- all, active_7d, ...
    ds       INTEGER NOT NULL,             -- YYYYMMDD: the day looked from
    tag_id   INTEGER NOT NULL,
    users    INTEGER NOT NULL,
    PRIMARY KEY (app_id, label_id, crowd, ds, tag_id)
) WITHOUT ROWID;

-- What the cells of a crowd and label on a day add up to, and what they rest on. Replaced together with
-- its cells.
CREATE TABLE metric_label (
    app_id      TEXT    NOT NULL,
    label_id    INTEGER NOT NULL,
    crowd       TEXT    NOT NULL,
    ds          INTEGER NOT NULL,
    label_ds    INTEGER NOT NULL,          -- the label's day that counts on ds; an earlier one: carried on
    crowd_users INTEGER NOT NULL,
    carrying    INTEGER NOT NULL,          -- users of the crowd who carry any tag of the label
    fingerprint TEXT    NOT NULL,          -- names the exact data files it was computed from
    computed_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, label_id, crowd, ds)
) WITHOUT ROWID;

CREATE INDEX metric_label_by_day ON metric_label (app_id, ds);

-- Users of a crowd, with or without labels.
CREATE TABLE metric_crowd (
    app_id      TEXT    NOT NULL,
    crowd       TEXT    NOT NULL,
    ds          INTEGER NOT NULL,
    users       INTEGER NOT NULL,
    fingerprint TEXT    NOT NULL,
    computed_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, crowd, ds)
) WITHOUT ROWID;

-- What an event comes to on a day.
CREATE TABLE metric_event (
    app_id      TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    ds          INTEGER NOT NULL,
    pv          INTEGER NOT NULL,
    users       INTEGER NOT NULL,
    fingerprint TEXT    NOT NULL,
    computed_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, event, ds)
) WITHOUT ROWID;
