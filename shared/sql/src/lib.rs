//! The SQL database: opening it, bringing its tables up to date, and telling its errors apart.
//!
//! Every table has one writer, the crate that names it in its own store module. Timestamps are
//! stored as whole milliseconds since the epoch, ids as text.

mod error;
mod sqlite;

pub use error::{SqlError, is_unique_violation};
pub use sqlite::{Durability, open_file};

use std::path::Path;

use sqlx::{Sqlite, SqlitePool, Transaction};

/// The tables of the embedded database.
static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The database that holds results and metadata. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Db {
    pool: SqlitePool,
}

impl Db {
    /// Opens the file, makes it when it is missing, and brings its tables up to date. Whatever a
    /// committed statement wrote survives a crash of the process and of the machine.
    pub async fn open(path: &Path) -> Result<Db, SqlError> {
        let pool = open_file(path, Durability::Full, &TABLES).await?;
        Ok(Db { pool })
    }

    /// For single statements and reads. Several writes that belong together go through [`Db::begin`].
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that will write.
    ///
    /// It takes the write lock at once and waits for it in line. Reading first and asking for the lock
    /// later would fail without waiting whenever another writer came in between.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, SqlError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Ends every connection; what is still in the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
