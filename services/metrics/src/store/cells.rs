//! Cells as they are read: with the line they belong to, in one statement, so that nobody sees half of a
//! label's day, whatever is replaced meanwhile.

use muster_days::Ds;
use muster_sql::{Db, on};
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;

/// A cell with its line of `metric_label`; a line without any cell comes once, without a tag.
#[derive(Debug, Clone, FromRow)]
pub struct CellRow {
    pub crowd: String,
    pub ds: u32,
    pub label_ds: u32,
    pub crowd_users: i64,
    pub carrying: i64,
    pub computed_at: i64,
    pub tag_id: Option<i64>,
    pub users: Option<i64>,
    /// Users with a weight, and the sum of these.
    pub weighted: Option<i64>,
    pub weight_sum: Option<i64>,
}

/// The label's cells in the crowds and in the whole app, by day and tag.
pub async fn cells(
    db: &Db,
    app: &str,
    (label, crowds): (i64, &[&str]),
    (from, to): (Ds, Ds),
) -> Result<Vec<CellRow>, Error> {
    let select =
        "SELECT l.crowd, l.ds, l.label_ds, l.crowd_users, l.carrying, l.computed_at, c.tag_id, c.users,
                w.users AS weighted, w.weight_sum
         FROM metric_label l LEFT JOIN metric_cell c
           ON c.app_id = l.app_id AND c.label_id = l.label_id AND c.crowd = l.crowd AND c.ds = l.ds
         LEFT JOIN metric_weight w
           ON w.app_id = c.app_id AND w.label_id = c.label_id AND w.crowd = c.crowd AND w.ds = c.ds
              AND w.tag_id = c.tag_id
         WHERE l.app_id = ";
    on!(db, pool => {
        let mut query = QueryBuilder::new(select);
        query.push_bind(app).push(" AND l.label_id = ").push_bind(label);
        query.push(" AND l.crowd IN ('all'");
        crowds.iter().for_each(|crowd| _ = query.push(", ").push_bind(*crowd));
        query.push(") AND l.ds BETWEEN ").push_bind(from.number()).push(" AND ").push_bind(to.number());
        query.push(" ORDER BY l.ds, c.tag_id");
        Ok(query.build_query_as().fetch_all(pool).await?)
    })
}

/// The first day of the label that is there in each of the crowds, and the newest such day up to `to`.
pub async fn newest_day(
    db: &Db,
    app: &str,
    (label, crowds): (i64, &[&str]),
    to: Option<Ds>,
) -> Result<(Option<u32>, Option<u32>), Error> {
    let (first, newest): (Option<i64>, Option<i64>) = on!(db, pool => {
        let mut query =
            QueryBuilder::new("SELECT CAST(MIN(ds) AS SIGNED), CAST(MAX(CASE WHEN ds <= ");
        query.push_bind(to.map_or(99_999_999, Ds::number));
        query.push(" THEN ds END) AS SIGNED) FROM (SELECT ds FROM metric_label WHERE app_id = ");
        query.push_bind(app).push(" AND label_id = ").push_bind(label).push(" AND crowd IN (");
        let mut each = query.separated(", ");
        crowds.iter().for_each(|crowd| _ = each.push_bind(*crowd));
        query.push(") GROUP BY ds HAVING COUNT(*) = ").push_bind(crowds.len() as i64).push(") AS days");
        query.build_query_as().fetch_one(pool).await?
    });
    Ok((first.map(|ds| ds as u32), newest.map(|ds| ds as u32)))
}

/// Every label that is worked out for the day, with the day that counts of it.
pub async fn label_days(db: &Db, app: &str, ds: Ds) -> Result<Vec<(i64, u32)>, Error> {
    let query = "SELECT label_id, label_ds FROM metric_label WHERE app_id = ? AND ds = ? AND crowd = 'all'
         ORDER BY label_id";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(ds.number()).fetch_all(pool).await?))
}
