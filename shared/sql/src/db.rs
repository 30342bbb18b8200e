//! One database handle over two dialects.

use std::path::Path;

use sqlx::{MySql, MySqlPool, Sqlite, SqlitePool, Transaction};

use crate::{Durability, Server, SqlError, mysql, on, open_file};

/// The tables of the embedded database.
static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The database that holds results and metadata. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Db {
    pool: Pool,
}

/// A pool of connections that speak one dialect.
#[derive(Clone, Debug)]
pub enum Pool {
    Lite(SqlitePool),
    My(MySqlPool),
}

/// A transaction that will write. Dropped without [`Tx::commit`] it is undone.
pub enum Tx {
    Lite(Transaction<'static, Sqlite>),
    My(Transaction<'static, MySql>),
}

impl Db {
    /// Opens the SQLite file, makes it when it is missing, and brings its tables up to date. Whatever a
    /// committed statement wrote survives a crash of the process and of the machine.
    pub async fn open(path: &Path) -> Result<Db, SqlError> {
        let pool = open_file(path, Durability::Full, &TABLES).await?;
        Ok(Db { pool: Pool::Lite(pool) })
    }

    /// Connects to a server that [`crate::migrate`] has prepared. Tables newer than this program are fine;
    /// older ones are [`SqlError::NotMigrated`].
    pub async fn connect(server: &Server) -> Result<Db, SqlError> {
        Ok(Db { pool: Pool::My(mysql::connect(server).await?) })
    }

    /// For single statements and reads, through [`on!`]. Several writes that belong together go through
    /// [`Db::begin`].
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A transaction that will write.
    ///
    /// On SQLite it takes the write lock at once and waits for it in line: reading first and asking for the
    /// lock later would fail without waiting whenever another writer came in between. On MySQL rows read in
    /// it are not locked: guard the writes that depend on them.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        Ok(match &self.pool {
            Pool::Lite(pool) => Tx::Lite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Pool::My(pool) => Tx::My(pool.begin().await?),
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), SqlError> {
        on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop)?);
        Ok(())
    }

    /// How many connections are open, and how many of them wait for work.
    pub fn connections(&self) -> (u32, usize) {
        on!(self, pool => (pool.size(), pool.num_idle()))
    }

    /// Ends every connection; of SQLite, what is still in the write-ahead log is folded into the file.
    pub async fn close(&self) {
        on!(self, pool => pool.close().await);
    }
}

impl Tx {
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Tx::Lite(transaction) => transaction.commit().await,
            Tx::My(transaction) => transaction.commit().await,
        }
    }

    pub async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Tx::Lite(transaction) => transaction.rollback().await,
            Tx::My(transaction) => transaction.rollback().await,
        }
    }
}
