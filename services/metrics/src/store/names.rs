//! What labels and tags are called, for those who read the tables. The API takes names from the manifest.

use std::collections::{BTreeMap, HashMap};

use muster_sql::{Db, Tx, is_conflict, on};
use sqlx::QueryBuilder;

use super::writes::{ROWS, TRIES, transact};
use crate::error::Error;

/// The fingerprint of each label's names.
pub async fn known_names(db: &Db, app: &str) -> Result<HashMap<i64, String>, Error> {
    let query = "SELECT label_id, fingerprint FROM metric_label_name WHERE app_id = ?";
    let rows: Vec<(i64, String)> = on!(db, pool => sqlx::query_as(query).bind(app).fetch_all(pool).await?);
    Ok(rows.into_iter().collect())
}

/// The names of a label and of its tags, in place of those that were there. The label's line goes first:
/// two processes that write the same wait for each other at it.
pub async fn replace_names(
    db: &Db,
    app: &str,
    (label, name, fingerprint): (i64, &str, &str),
    tags: &BTreeMap<i64, String>,
) -> Result<(), Error> {
    transact!(db, app, tx => async {
        delete(tx, "metric_label_name", app, label).await?;
        let insert = "INSERT INTO metric_label_name (app_id, label_id, name, fingerprint) VALUES (?, ?, ?, ?)";
        on!(tx tx, connection => {
            let line = sqlx::query(insert).bind(app).bind(label).bind(name).bind(fingerprint);
            line.execute(connection).await?;
        });
        delete(tx, "metric_tag_name", app, label).await?;
        insert_tags(tx, app, label, tags).await
    })
}

async fn delete(tx: &mut Tx, table: &str, app: &str, label: i64) -> sqlx::Result<()> {
    on!(tx tx, connection => {
        let mut query = QueryBuilder::new(format!("DELETE FROM {table} WHERE app_id = "));
        query.push_bind(app).push(" AND label_id = ").push_bind(label);
        query.build().execute(connection).await.map(drop)
    })
}

async fn insert_tags(tx: &mut Tx, app: &str, label: i64, tags: &BTreeMap<i64, String>) -> sqlx::Result<()> {
    let tags: Vec<(&i64, &String)> = tags.iter().collect();
    for tags in tags.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query =
                QueryBuilder::new("INSERT INTO metric_tag_name (app_id, label_id, tag_id, name) ");
            query.push_values(tags, |mut line, (tag, name)| {
                line.push_bind(app).push_bind(label).push_bind(**tag).push_bind(name.as_str());
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}
