//! The cells of a day on their way into the tables: as the service writes them, and row by row.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use muster_days::Ds;
use muster_metrics::{LabelRow, replace_labels};
use muster_real_servers::Maria;
use muster_rules::crowds::PREDEFINED;
use muster_sql::{Db, Pool, Server, Tx, on};

use crate::engine::set::{DAYS, day};
use crate::times::median;

const APP: &str = "writes";
/// Labels have so many tags, one more from label to label.
const TAGS: std::ops::RangeInclusive<i64> = 20..=35;
const COMPUTED_AT: i64 = 1_790_000_000_000;

const INSERT_LABEL: &str = "INSERT INTO metric_label (app_id, label_id, crowd, ds, label_ds, crowd_users, \
     carrying, fingerprint, computed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_CELL: &str =
    "INSERT INTO metric_cell (app_id, label_id, crowd, ds, tag_id, users) VALUES (?, ?, ?, ?, ?, ?)";

/// Seconds a row, medians.
pub struct Measured {
    pub database: &'static str,
    pub rows: usize,
    pub service: f64,
    /// One INSERT each, all in one transaction.
    pub one_by_one: f64,
    /// The service's time in the other's, run by run.
    pub ratio: f64,
    /// Each committed for itself, fewer of them.
    pub committed: f64,
}

/// The lines and cells of so many labels in every crowd, on one day.
pub fn rows(labels: i64) -> Vec<LabelRow> {
    let tags = |label: i64| TAGS.start() + label % (TAGS.end() - TAGS.start() + 1);
    let crowds = || std::iter::once("all").chain(PREDEFINED.into_iter().map(|(name, _)| name));
    let row = |label: i64, crowd: &str| LabelRow {
        label: 10_001 + label,
        crowd: crowd.to_owned(),
        label_ds: ds(),
        crowd_users: 10_000_000,
        carrying: 9_000_000,
        fingerprint: format!("{label:032x}"),
        cells: (1..=tags(label)).map(|tag| (tag, 1_000_000 / tag as u64)).collect(),
        weights: Vec::new(),
    };
    (0..labels).flat_map(|label| crowds().map(move |crowd| row(label, crowd))).collect()
}

fn ds() -> Ds {
    day(DAYS - 1)
}

/// On a file in `folder`.
pub async fn on_sqlite(
    folder: &Path,
    rows: &[LabelRow],
    (runs, committed): (usize, usize),
) -> anyhow::Result<Measured> {
    let db = Db::open(&folder.join("writes.db")).await?;
    let measured = measure("SQLite", &db, rows, (runs, committed)).await;
    db.close().await;
    measured
}

/// On a server of our own.
pub async fn on_mariadb(rows: &[LabelRow], (runs, committed): (usize, usize)) -> anyhow::Result<Measured> {
    let maria = tokio::task::spawn_blocking(Maria::start).await?;
    let server = Server::new(&maria.database(APP).await, 4)?;
    muster_sql::migrate(&server).await?;
    let db = Db::connect(&server).await?;
    let measured = measure("MariaDB", &db, rows, (runs, committed)).await;
    db.close().await;
    measured
}

/// `runs` of each in turn, after one, every one into empty tables; `committed` cells with a commit each.
async fn measure(
    database: &'static str,
    db: &Db,
    rows: &[LabelRow],
    (runs, committed): (usize, usize),
) -> anyhow::Result<Measured> {
    let count: usize = rows.iter().map(|row| 1 + row.cells.len()).sum();
    let (mut service, mut one_by_one, mut ratios, mut alone) = (vec![], vec![], vec![], vec![]);
    for run in 0..=runs.max(1) {
        let began = empty(db).await?;
        replace_labels(db, APP, ds(), rows, COMPUTED_AT).await?;
        let (ours, written) = (began.elapsed().as_secs_f64(), sums(db).await?);
        let began = empty(db).await?;
        insert_each(db, rows).await?;
        let theirs = began.elapsed().as_secs_f64();
        ensure!(written == sums(db).await? && written.0 as usize + rows.len() == count, "rows are missing");
        let began = empty(db).await?;
        let lines = commit_each(db, rows, committed).await?;
        // The first run is there to warm up.
        if run > 0 {
            alone.push(began.elapsed().as_secs_f64() / lines as f64);
            service.push(ours / count as f64);
            one_by_one.push(theirs / count as f64);
            ratios.push(theirs / ours);
        }
    }
    Ok(Measured {
        database,
        rows: count,
        service: median(service),
        one_by_one: median(one_by_one),
        ratio: median(ratios),
        committed: median(alone),
    })
}

/// Empties the tables; the clock starts when they are.
async fn empty(db: &Db) -> anyhow::Result<Instant> {
    match db.pool() {
        Pool::Lite(pool) => {
            for query in
                ["DELETE FROM metric_cell", "DELETE FROM metric_label", "PRAGMA wal_checkpoint(TRUNCATE)"]
            {
                sqlx::query(query).execute(pool).await?;
            }
        }
        Pool::My(pool) => {
            for query in ["TRUNCATE TABLE metric_cell", "TRUNCATE TABLE metric_label"] {
                sqlx::query(query).execute(pool).await?;
            }
        }
    }
    Ok(Instant::now())
}

/// How many cells there are, and all their users.
async fn sums(db: &Db) -> anyhow::Result<(i64, i64)> {
    let query = "SELECT COUNT(*), CAST(SUM(users) AS SIGNED) FROM metric_cell";
    Ok(on!(db, pool => sqlx::query_as(query).fetch_one(pool).await?))
}

async fn insert_each(db: &Db, rows: &[LabelRow]) -> anyhow::Result<()> {
    let mut tx = db.begin().await?;
    for row in rows {
        insert_label(&mut tx, row).await?;
        for &(tag, users) in &row.cells {
            on!(tx &mut tx, connection => sqlx::query(INSERT_CELL)
                .bind(APP)
                .bind(row.label)
                .bind(&row.crowd)
                .bind(ds().number())
                .bind(tag)
                .bind(users as i64)
                .execute(connection)
                .await
                .map(drop)?);
        }
    }
    Ok(tx.commit().await?)
}

async fn insert_label(tx: &mut Tx, row: &LabelRow) -> anyhow::Result<()> {
    on!(tx tx, connection => sqlx::query(INSERT_LABEL)
        .bind(APP)
        .bind(row.label)
        .bind(&row.crowd)
        .bind(ds().number())
        .bind(row.label_ds.number())
        .bind(row.crowd_users as i64)
        .bind(row.carrying as i64)
        .bind(&row.fingerprint)
        .bind(COMPUTED_AT)
        .execute(connection)
        .await
        .map(drop)?);
    Ok(())
}

/// The first `most` cells; answers how many there were.
async fn commit_each(db: &Db, rows: &[LabelRow], most: usize) -> anyhow::Result<usize> {
    let cells = rows.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, *cell)));
    let mut count = 0;
    for (row, (tag, users)) in cells.take(most) {
        on!(db, pool => sqlx::query(INSERT_CELL)
            .bind(APP)
            .bind(row.label)
            .bind(&row.crowd)
            .bind(ds().number())
            .bind(tag)
            .bind(users as i64)
            .execute(pool)
            .await
            .map(drop)?);
        count += 1;
    }
    Ok(count)
}

pub fn print(measured: &[Measured]) {
    println!(
        "| database | rows | the service | an INSERT a row, one commit | times faster | a commit a row |"
    );
    println!("| :--- | ---: | ---: | ---: | ---: | ---: |");
    for Measured { database, rows, service, one_by_one, ratio, committed } in measured {
        let rate = |seconds: &f64| format!("{:.0} rows/s", 1.0 / seconds);
        println!(
            "| {database} | {rows} | {} | {} | {ratio:.1} | {} |",
            rate(service),
            rate(one_by_one),
            rate(committed),
        );
    }
    println!();
}
