-- Who of a crowd is new, and the weights of a cell. Written by the metrics service only.

-- Which users of a window had the crowd's events before it, too. One row per predefined base crowd and day;
-- without numbers where nothing is published of the 180 days before the window.
CREATE TABLE IF NOT EXISTS metric_crowd_new (
    app_id          VARCHAR(128) NOT NULL,
    crowd           VARCHAR(64)  NOT NULL,
    ds              INT UNSIGNED NOT NULL,
    new_users       BIGINT,
    returning_users BIGINT,
    earlier_from    INT UNSIGNED,                -- the oldest day before the window that was looked at
    fingerprint     VARCHAR(64)  NOT NULL,
    computed_at     BIGINT       NOT NULL,
    PRIMARY KEY (app_id, crowd, ds)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- The weights with which a crowd carries a tag; no row where nobody has one. Replaced together with the cell.
CREATE TABLE IF NOT EXISTS metric_weight (
    app_id     VARCHAR(128) NOT NULL,
    label_id   BIGINT       NOT NULL,
    crowd      VARCHAR(64)  NOT NULL,
    ds         INT UNSIGNED NOT NULL,
    tag_id     BIGINT       NOT NULL,
    users      BIGINT       NOT NULL,            -- of the cell's users, those with a weight
    weight_sum BIGINT,                           -- NULL: too great for the column
    PRIMARY KEY (app_id, label_id, crowd, ds, tag_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE);

-- As before, with the weights.
CREATE OR REPLACE VIEW label_distribution AS
SELECT l.app_id, l.ds, l.crowd, l.label_id, ln.name AS label, l.label_ds, b.tag_id, tn.name AS tag,
       COALESCE(c.users, 0) AS users,
       l.crowd_users,
       l.carrying,
       COALESCE(c.users, 0) * 1e0 / NULLIF(l.crowd_users, 0) AS crowd_share,
       COALESCE(c.users, 0) * 1e0 / NULLIF(l.carrying, 0) AS share_of_carrying,
       b.users AS tag_app_users,
       a.crowd_users AS app_users,
       b.users * 1e0 / NULLIF(a.crowd_users, 0) AS app_share,
       (COALESCE(c.users, 0) * 1e0 / NULLIF(l.crowd_users, 0))
           / NULLIF(b.users * 1e0 / NULLIF(a.crowd_users, 0), 0) AS tag_index,
       l.computed_at,
       w.users AS weighted_users,
       w.weight_sum,
       w.weight_sum * 1e0 / NULLIF(w.users, 0) AS mean_weight
FROM metric_label l
JOIN metric_label a
  ON a.app_id = l.app_id AND a.label_id = l.label_id AND a.crowd = 'all' AND a.ds = l.ds
JOIN metric_cell b
  ON b.app_id = l.app_id AND b.label_id = l.label_id AND b.crowd = 'all' AND b.ds = l.ds
LEFT JOIN metric_cell c
  ON c.app_id = l.app_id AND c.label_id = l.label_id AND c.crowd = l.crowd AND c.ds = l.ds
     AND c.tag_id = b.tag_id
LEFT JOIN metric_weight w
  ON w.app_id = l.app_id AND w.label_id = l.label_id AND w.crowd = l.crowd AND w.ds = l.ds
     AND w.tag_id = b.tag_id
LEFT JOIN metric_label_name ln ON ln.app_id = l.app_id AND ln.label_id = l.label_id
LEFT JOIN metric_tag_name tn
  ON tn.app_id = l.app_id AND tn.label_id = l.label_id AND tn.tag_id = b.tag_id;

-- As before, with who of the crowd is new.
CREATE OR REPLACE VIEW crowd_size AS
SELECT c.app_id, c.ds, c.crowd, c.users, a.users AS app_users,
       c.users * 1e0 / NULLIF(a.users, 0) AS app_share,
       c.computed_at,
       n.new_users, n.returning_users, n.earlier_from
FROM metric_crowd c
LEFT JOIN metric_crowd a ON a.app_id = c.app_id AND a.crowd = 'all' AND a.ds = c.ds
LEFT JOIN metric_crowd_new n ON n.app_id = c.app_id AND n.crowd = c.crowd AND n.ds = c.ds;
