//! Tables of data days: a column `ds` (YYYYMMDD), and old days that go all at once.
//!
//! On a server such a table is partitioned by day, since dropping a partition costs nothing and deleting
//! its rows can exceed what one transaction may hold. A migration makes it with one partition,
//! `PARTITION BY RANGE (ds) (PARTITION p_rest VALUES LESS THAN MAXVALUE)`; [`keep_days`] splits days off.

use std::collections::BTreeSet;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::{AssertSqlSafe, MySqlPool, SqlitePool};

use crate::{Db, Pool, SqlError};

/// Seconds that a change of partitions waits for those who read the table.
const LOCK_WAIT: &str = "SET SESSION lock_wait_timeout = 2";
/// Rows that are deleted in one transaction.
const ROWS: u64 = 10_000;

/// Has partitions ready for the days that come, in ascending order, and drops those before `from`. Safe to
/// run at any time and by several processes at once.
pub async fn keep_days(db: &Db, table: &'static str, coming: &[u32], from: u32) -> Result<(), SqlError> {
    match db.pool() {
        Pool::Lite(pool) => delete_before(pool, table, from).await,
        Pool::My(pool) => partition(pool, table, coming, from).await,
    }
}

async fn delete_before(pool: &SqlitePool, table: &str, from: u32) -> Result<(), SqlError> {
    let delete = format!("DELETE FROM {table} WHERE ds < ?");
    sqlx::query(AssertSqlSafe(delete)).bind(from).execute(pool).await?;
    Ok(())
}

async fn partition(pool: &MySqlPool, table: &str, coming: &[u32], from: u32) -> Result<(), SqlError> {
    for &day in coming {
        let there = days(pool, table).await?;
        // Only behind the last one: a day before it lies in that one, and goes with it.
        if there.last().is_some_and(|last| *last >= day) {
            continue;
        }
        let split = format!(
            "ALTER TABLE {table} REORGANIZE PARTITION p_rest INTO (
                 PARTITION p{day} VALUES LESS THAN ({}), PARTITION p_rest VALUES LESS THAN MAXVALUE)",
            day + 1
        );
        alter(pool, table, split, |days| days.contains(&day)).await?;
    }
    let there = days(pool, table).await?;
    for day in there.range(..from) {
        alter(pool, table, format!("ALTER TABLE {table} DROP PARTITION p{day}"), |days| !days.contains(day))
            .await?;
    }
    delete_rest(pool, table, from).await
}

/// Days that came before the first partition was made, or late: they lie in the partition of a day that is
/// kept. In slices, for a transaction may hold only so much.
async fn delete_rest(pool: &MySqlPool, table: &str, from: u32) -> Result<(), SqlError> {
    let delete = format!("DELETE FROM {table} WHERE ds < ? LIMIT {ROWS}");
    loop {
        let deleted = sqlx::query(AssertSqlSafe(delete.clone())).bind(from).execute(pool).await?;
        if deleted.rows_affected() < ROWS {
            return Ok(());
        }
    }
}

/// Another process may have done the same at the same moment: that is as good. A statement that somebody's
/// long SELECT holds up is left for the next time.
async fn alter(
    pool: &MySqlPool,
    table: &str,
    statement: String,
    done: impl Fn(&BTreeSet<u32>) -> bool,
) -> Result<(), SqlError> {
    let mut connection = pool.acquire().await?;
    sqlx::query(AssertSqlSafe(LOCK_WAIT)).execute(&mut *connection).await?;
    let altered = sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await;
    // Not for the next one who gets it.
    connection.close().await?;
    match altered {
        Ok(_) => Ok(()),
        Err(_) if done(&days(pool, table).await?) => Ok(()),
        Err(error) if is_lock_wait(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The table waits for its readers, and whoever comes next waits for it.
fn is_lock_wait(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    error.is_some_and(|error| error.number() == 1205)
}

/// The days that have partitions of their own.
async fn days(pool: &MySqlPool, table: &str) -> Result<BTreeSet<u32>, SqlError> {
    let list = "SELECT CAST(PARTITION_NAME AS CHAR) FROM information_schema.PARTITIONS
                WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND PARTITION_NAME IS NOT NULL";
    let names: Vec<String> = sqlx::query_scalar(list).bind(table).fetch_all(pool).await?;
    Ok(names.iter().filter_map(|name| name.strip_prefix('p')?.parse().ok()).collect())
}
