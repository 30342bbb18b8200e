-- The profile of each app and of its base crowds, by data day. Times are milliseconds since the epoch.
-- Written by the metrics service only.

-- Users of a crowd who carry a tag. A tag that nobody in the crowd carries has no row.
CREATE TABLE IF NOT EXISTS metric_cell (
    app_id   VARCHAR(128) NOT NULL,
    label_id BIGINT       NOT NULL,
    crowd    VARCHAR(64)  NOT NULL,              -- all, active_7d, ...
    ds       INT UNSIGNED NOT NULL,              -- YYYYMMDD: the day looked from
    tag_id   BIGINT       NOT NULL,
    users    BIGINT       NOT NULL,
    PRIMARY KEY (app_id, label_id, crowd, ds, tag_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- What the cells of a crowd and label on a day add up to, and what they rest on. Replaced together with
-- its cells.
CREATE TABLE IF NOT EXISTS metric_label (
    app_id      VARCHAR(128) NOT NULL,
    label_id    BIGINT       NOT NULL,
    crowd       VARCHAR(64)  NOT NULL,
    ds          INT UNSIGNED NOT NULL,
    label_ds    INT UNSIGNED NOT NULL,           -- the label's day that counts on ds; an earlier one: carried on
    crowd_users BIGINT       NOT NULL,
    carrying    BIGINT       NOT NULL,           -- users of the crowd who carry any tag of the label
    fingerprint VARCHAR(64)  NOT NULL,           -- names the exact data files it was computed from
    computed_at BIGINT       NOT NULL,
    PRIMARY KEY (app_id, label_id, crowd, ds),
    INDEX metric_label_by_day (app_id, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- Users of a crowd, with or without labels.
CREATE TABLE IF NOT EXISTS metric_crowd (
    app_id      VARCHAR(128) NOT NULL,
    crowd       VARCHAR(64)  NOT NULL,
    ds          INT UNSIGNED NOT NULL,
    users       BIGINT       NOT NULL,
    fingerprint VARCHAR(64)  NOT NULL,
    computed_at BIGINT       NOT NULL,
    PRIMARY KEY (app_id, crowd, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- What an event comes to on a day.
CREATE TABLE IF NOT EXISTS metric_event (
    app_id      VARCHAR(128) NOT NULL,
    event       VARCHAR(256) NOT NULL,
    ds          INT UNSIGNED NOT NULL,
    pv          BIGINT       NOT NULL,
    users       BIGINT       NOT NULL,
    fingerprint VARCHAR(64)  NOT NULL,
    computed_at BIGINT       NOT NULL,
    PRIMARY KEY (app_id, event, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);
