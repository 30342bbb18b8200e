//! What a job writes. Each function replaces what was there in one transaction.
//!
//! Two processes may write the same rows at once. The lines of `metric_label` go first and are what they
//! wait for each other at; the one that finds them taken begins again. Which of them has the newer data is
//! not known here: each looks again after its last write.

use muster_days::Ds;
use muster_sql::{Db, Tx, is_conflict, on};
use sqlx::QueryBuilder;

use crate::error::Error;

/// Rows of one INSERT.
pub(super) const ROWS: usize = 500;
/// How often a transaction that lost against another one is begun anew.
pub(super) const TRIES: usize = 20;

/// A line of `metric_label` with its cells.
#[derive(Debug, Clone)]
pub struct LabelRow {
    pub label: i64,
    pub crowd: String,
    pub label_ds: Ds,
    pub crowd_users: u64,
    pub carrying: u64,
    pub fingerprint: String,
    /// Tags with users.
    pub cells: Vec<(i64, u64)>,
    pub weights: Vec<WeightCell>,
}

/// The users who carry a tag with a weight, and the sum of these.
#[derive(Debug, Clone)]
pub struct WeightCell {
    pub tag: i64,
    pub users: u64,
    /// None: too great for the column.
    pub sum: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct EventRow {
    pub event: String,
    pub ds: Ds,
    pub pv: u64,
    pub users: u64,
    pub fingerprint: String,
}

/// Runs `$write`, which answers a `sqlx::Result`, in a transaction, anew when it lost against another one.
/// The app's revision moves on with it.
macro_rules! transact {
    ($db:expr, $app:expr, $tx:ident => $write:expr) => {{
        let mut tries = 0;
        loop {
            let mut transaction = $db.begin().await?;
            let $tx = &mut transaction;
            let written: sqlx::Result<()> = $write.await;
            let written = match written {
                Ok(()) => $crate::store::revision::move_on(&mut transaction, $app).await,
                written => written,
            };
            let written = match written {
                Ok(()) => transaction.commit().await,
                Err(error) => {
                    // What could not be undone is undone when the connection is dropped.
                    _ = transaction.rollback().await;
                    Err(error)
                }
            };
            tries += 1;
            match written {
                Err(error) if tries < TRIES && is_conflict(&error) => {}
                written => break written.map_err(Error::from),
            }
        }
    }};
}

pub(super) use transact;

/// Lines of one day and their cells, in place of those of the same labels and crowds.
pub async fn replace_labels(db: &Db, app: &str, ds: Ds, rows: &[LabelRow], now: i64) -> Result<(), Error> {
    transact!(db, app, tx => async {
        for rows in rows.chunk_by(|a, b| a.label == b.label) {
            delete_label(tx, "metric_label", app, ds, rows).await?;
        }
        insert_labels(tx, app, ds, rows, now).await?;
        for rows in rows.chunk_by(|a, b| a.label == b.label) {
            delete_label(tx, "metric_cell", app, ds, rows).await?;
            delete_label(tx, "metric_weight", app, ds, rows).await?;
        }
        insert_cells(tx, app, ds, rows).await?;
        insert_weights(tx, app, ds, rows).await
    })
}

/// `rows` are of one label.
async fn delete_label(tx: &mut Tx, table: &str, app: &str, ds: Ds, rows: &[LabelRow]) -> sqlx::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    on!(tx tx, connection => {
        let mut query = QueryBuilder::new(format!("DELETE FROM {table} WHERE app_id = "));
        query.push_bind(app).push(" AND label_id = ").push_bind(first.label);
        query.push(" AND ds = ").push_bind(ds.number()).push(" AND crowd IN (");
        let mut crowds = query.separated(", ");
        rows.iter().for_each(|row| _ = crowds.push_bind(&row.crowd));
        query.push(")");
        query.build().execute(connection).await.map(drop)
    })
}

async fn insert_labels(tx: &mut Tx, app: &str, ds: Ds, rows: &[LabelRow], now: i64) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query = QueryBuilder::new(
                "INSERT INTO metric_label (app_id, label_id, crowd, ds, label_ds, crowd_users, carrying, \
                 fingerprint, computed_at) ",
            );
            query.push_values(rows, |mut line, row| {
                line.push_bind(app)
                    .push_bind(row.label)
                    .push_bind(&row.crowd)
                    .push_bind(ds.number())
                    .push_bind(row.label_ds.number())
                    .push_bind(row.crowd_users as i64)
                    .push_bind(row.carrying as i64)
                    .push_bind(&row.fingerprint)
                    .push_bind(now);
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn insert_cells(tx: &mut Tx, app: &str, ds: Ds, rows: &[LabelRow]) -> sqlx::Result<()> {
    let cells: Vec<(&LabelRow, i64, u64)> =
        rows.iter().flat_map(|row| row.cells.iter().map(move |&(tag, users)| (row, tag, users))).collect();
    for cells in cells.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query =
                QueryBuilder::new("INSERT INTO metric_cell (app_id, label_id, crowd, ds, tag_id, users) ");
            query.push_values(cells, |mut line, (row, tag, users)| {
                line.push_bind(app)
                    .push_bind(row.label)
                    .push_bind(&row.crowd)
                    .push_bind(ds.number())
                    .push_bind(*tag)
                    .push_bind(*users as i64);
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn insert_weights(tx: &mut Tx, app: &str, ds: Ds, rows: &[LabelRow]) -> sqlx::Result<()> {
    let cells: Vec<(&LabelRow, &WeightCell)> =
        rows.iter().flat_map(|row| row.weights.iter().map(move |cell| (row, cell))).collect();
    for cells in cells.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query = QueryBuilder::new(
                "INSERT INTO metric_weight (app_id, label_id, crowd, ds, tag_id, users, weight_sum) ",
            );
            query.push_values(cells, |mut line, (row, cell)| {
                line.push_bind(app)
                    .push_bind(row.label)
                    .push_bind(&row.crowd)
                    .push_bind(ds.number())
                    .push_bind(cell.tag)
                    .push_bind(cell.users as i64)
                    .push_bind(cell.sum);
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

/// The size of the whole app, in every line from a day on that says another.
pub async fn refresh_everyone(db: &Db, app: &str, from: Ds, users: u64) -> Result<(), Error> {
    transact!(db, app, tx => async {
        let query = "UPDATE metric_label SET crowd_users = ?
             WHERE app_id = ? AND crowd = 'all' AND ds >= ? AND crowd_users <> ?";
        on!(tx tx, connection => sqlx::query(query)
            .bind(users as i64)
            .bind(app)
            .bind(from.number())
            .bind(users as i64)
            .execute(connection)
            .await
            .map(drop))
    })
}

/// `lines`: days and names of the rows, whose column is `named`.
pub(super) async fn delete_lines(
    tx: &mut Tx,
    (table, named): (&str, &str),
    app: &str,
    lines: &[(Ds, &str)],
) -> sqlx::Result<()> {
    for lines in lines.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query = QueryBuilder::new(format!("DELETE FROM {table} WHERE app_id = "));
            query.push_bind(app).push(" AND (");
            let mut each = query.separated(" OR ");
            for (ds, name) in lines {
                each.push("(ds = ").push_bind_unseparated(ds.number());
                each.push_unseparated(format!(" AND {named} = ")).push_bind_unseparated(*name);
                each.push_unseparated(")");
            }
            query.push(")");
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

pub async fn replace_events(db: &Db, app: &str, rows: &[EventRow], now: i64) -> Result<(), Error> {
    transact!(db, app, tx => async {
        let lines: Vec<(Ds, &str)> = rows.iter().map(|row| (row.ds, row.event.as_str())).collect();
        delete_lines(tx, ("metric_event", "event"), app, &lines).await?;
        for rows in rows.chunks(ROWS) {
            on!(tx tx, connection => {
                let mut query = QueryBuilder::new(
                    "INSERT INTO metric_event (app_id, event, ds, pv, users, fingerprint, computed_at) ",
                );
                query.push_values(rows, |mut line, row| {
                    line.push_bind(app)
                        .push_bind(&row.event)
                        .push_bind(row.ds.number())
                        .push_bind(row.pv as i64)
                        .push_bind(row.users as i64)
                        .push_bind(&row.fingerprint)
                        .push_bind(now);
                });
                query.build().execute(connection).await?;
            });
        }
        Ok(())
    })
}
