-- Who of a crowd is new, and the weights of a cell. Written by the metrics service only.

-- Which users of a window had the crowd's events before it, too. One row per predefined base crowd and day;
-- without numbers where nothing is published of the 180 days before the window.
CREATE TABLE metric_crowd_new (
    app_id          TEXT    NOT NULL,
    crowd           TEXT    NOT NULL,
    ds              INTEGER NOT NULL,
    new_users       INTEGER,
    returning_users INTEGER,
    earlier_from    INTEGER,                -- the oldest day before the window that was looked at
    fingerprint     TEXT    NOT NULL,
    computed_at     INTEGER NOT NULL,
    PRIMARY KEY (app_id, crowd, ds)
) WITHOUT ROWID;

-- The weights with which a crowd carries a tag; no row where nobody has one. Replaced together with the cell.
CREATE TABLE metric_weight (
    app_id          TEXT    NOT NULL,
    label_id        INTEGER NOT NULL,
    crowd           TEXT    NOT NULL,
    ds              INTEGER NOT NULL,
    tag_id          INTEGER NOT NULL,
    users           INTEGER NOT NULL,       -- of the cell's users, those with a weight
    weight_sum      INTEGER,                -- NULL: too great for the column
    PRIMARY KEY (app_id, label_id, crowd, ds, tag_id)
) WITHOUT ROWID;

-- As before, with the weights.
DROP VIEW label_distribution;
CREATE VIEW label_distribution AS
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
DROP VIEW crowd_size;
CREATE VIEW crowd_size AS
SELECT c.app_id, c.ds, c.crowd, c.users, a.users AS app_users,
       c.users * 1e0 / NULLIF(a.users, 0) AS app_share,
       c.computed_at,
       n.new_users, n.returning_users, n.earlier_from
FROM metric_crowd c
LEFT JOIN metric_crowd a ON a.app_id = c.app_id AND a.crowd = 'all' AND a.ds = c.ds
LEFT JOIN metric_crowd_new n ON n.app_id = c.app_id AND n.crowd = c.crowd AND n.ds = c.ds;
