//! The SQL database: opening it, bringing its tables up to date, and telling its errors apart.
//!
//! Two dialects, one set of queries: SQLite when Muster runs embedded, MySQL's (MySQL, MariaDB, TiDB) in
//! a deployment. A query is written once, in the store module of the crate that owns the table, and
//! [`on!`] runs it on whichever pool is open. Every table has one writer. Timestamps are stored as whole
//! milliseconds since the epoch, ids as text.

mod days;
mod db;
mod error;
mod mysql;
mod sqlite;

pub use days::keep_days;
pub use db::{Db, Pool, Tx};
pub use error::{SqlError, is_away, is_conflict, is_unique_violation};
pub use mysql::{Server, migrate};
pub use sqlite::{Durability, open_file};

/// Runs a query on the pool of a [`Db`], or on the connection of a [`Tx`], whichever dialect it speaks.
///
/// The body is compiled once for each dialect, so it must hold for both: `?` for parameters, no
/// `RETURNING`, no upsert, no `IGNORE`. What it answers must not name the dialect: take `rows_affected()`
/// inside.
///
/// ```
/// # async fn doc(db: &muster_sql::Db) -> sqlx::Result<u64> {
/// let done = muster_sql::on!(db, pool => sqlx::query("DELETE FROM audit").execute(pool).await?.rows_affected());
/// # Ok(done)
/// # }
/// ```
#[macro_export]
macro_rules! on {
    (tx $tx:expr, $connection:ident => $body:expr) => {
        match $tx {
            $crate::Tx::Lite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::Tx::My(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
    ($db:expr, $pool:ident => $body:expr) => {
        match $db.pool() {
            $crate::Pool::Lite($pool) => $body,
            $crate::Pool::My($pool) => $body,
        }
    };
}
