-- What the ids in the profile are called, and views that answer the common questions (docs/sql.md).
-- Written by the metrics service only.

-- A label of the app, and what its names rest on. Replaced together with the names of its tags.
CREATE TABLE metric_label_name (
    app_id      TEXT    NOT NULL,
    label_id    INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,          -- of this name and those of its tags
    PRIMARY KEY (app_id, label_id)
) WITHOUT ROWID;

CREATE TABLE metric_tag_name (
    app_id   TEXT    NOT NULL,
    label_id INTEGER NOT NULL,
    tag_id   INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    PRIMARY KEY (app_id, label_id, tag_id)
) WITHOUT ROWID;

-- In the views, 1e0 makes a double of a count: both dialects divide whole numbers otherwise.

-- How a crowd spreads over a label's tags: one row per tag that anybody in the app carries.
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
       l.computed_at
FROM metric_label l
JOIN metric_label a
  ON a.app_id = l.app_id AND a.label_id = l.label_id AND a.crowd = 'all' AND a.ds = l.ds
JOIN metric_cell b
  ON b.app_id = l.app_id AND b.label_id = l.label_id AND b.crowd = 'all' AND b.ds = l.ds
LEFT JOIN metric_cell c
  ON c.app_id = l.app_id AND c.label_id = l.label_id AND c.crowd = l.crowd AND c.ds = l.ds
     AND c.tag_id = b.tag_id
LEFT JOIN metric_label_name ln ON ln.app_id = l.app_id AND ln.label_id = l.label_id
LEFT JOIN metric_tag_name tn
  ON tn.app_id = l.app_id AND tn.label_id = l.label_id AND tn.tag_id = b.tag_id;

-- How many users a crowd has, and its share of the app.
CREATE VIEW crowd_size AS
SELECT c.app_id, c.ds, c.crowd, c.users, a.users AS app_users,
       c.users * 1e0 / NULLIF(a.users, 0) AS app_share,
       c.computed_at
FROM metric_crowd c
LEFT JOIN metric_crowd a ON a.app_id = c.app_id AND a.crowd = 'all' AND a.ds = c.ds;

-- What an event came to, and the share of the app's users who had it.
CREATE VIEW event_total AS
SELECT e.app_id, e.ds, e.event, e.pv, e.users,
       e.pv * 1e0 / NULLIF(e.users, 0) AS pv_per_user,
       a.users AS app_users,
       e.users * 1e0 / NULLIF(a.users, 0) AS app_share,
       e.computed_at
FROM metric_event e
LEFT JOIN metric_crowd a ON a.app_id = e.app_id AND a.crowd = 'all' AND a.ds = e.ds;

-- The values of a dimension with most pv, each with its share of the rows that carry the dimension.
CREATE VIEW dimension_value AS
SELECT v.app_id, v.ds, v.event, v.dimension, v.place, v.value, v.pv, v.users,
       d.pv AS dimension_pv,
       v.pv * 1e0 / NULLIF(d.pv, 0) AS pv_share,
       d.value_count, d.rest_count, d.rest_pv,
       d.computed_at
FROM metric_dimension v
JOIN metric_dimension_day d
  ON d.app_id = v.app_id AND d.event = v.event AND d.dimension = v.dimension AND d.ds = v.ds;

-- How much of a day is in: labels of the day itself, labels carried on from before, labels that wait.
CREATE VIEW day_completeness AS
SELECT d.app_id, d.ds,
       (SELECT COUNT(*) FROM metric_label_name n WHERE n.app_id = d.app_id) AS labels,
       COUNT(CASE WHEN l.label_ds = d.ds THEN 1 END) AS labels_in,
       COUNT(CASE WHEN l.label_ds < d.ds THEN 1 END) AS labels_carried,
       (SELECT COUNT(*) FROM metric_label_name n WHERE n.app_id = d.app_id) - COUNT(l.label_id)
           AS labels_waiting,
       (SELECT COUNT(*) FROM metric_event e WHERE e.app_id = d.app_id AND e.ds = d.ds) AS events_in
FROM metric_crowd d
LEFT JOIN metric_label l ON l.app_id = d.app_id AND l.ds = d.ds AND l.crowd = 'all'
WHERE d.crowd = 'all'
GROUP BY d.app_id, d.ds;
