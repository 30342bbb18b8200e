//! How a SQLite file is opened: one writer at a time, readers beside it, nothing acknowledged lost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::SqlError;

/// A writer waits this long for the others before its statement fails.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(15);
const CONNECTIONS: u32 = 8;

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit is on the disk when it returns.
    Full,
    /// A power cut may take the newest commits with it; the file stays sound. A crash of the process
    /// loses nothing.
    Relaxed,
}

/// Opens the file, makes it when it is missing, and applies the migrations it lacks. Processes that
/// open one file at the same moment wait for each other.
pub async fn open_file(
    path: &Path,
    durability: Durability,
    migrations: &Migrator,
) -> Result<SqlitePool, SqlError> {
    let synchronous = match durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Relaxed => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(WAIT_FOR_LOCK)
        .foreign_keys(false);

    // SQLite locks single statements, not a whole migration: two starting processes would both apply it.
    let _alone = lock(path.with_extension("lock")).await?;
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
    migrations
        .run(&pool)
        .await
        .map_err(|source| SqlError::Migrate { what: path.display().to_string(), source })?;
    Ok(pool)
}

/// Holds the lock file until the answer is dropped; a process that dies lets go of it.
async fn lock(path: PathBuf) -> Result<File, SqlError> {
    let file_error = |source| SqlError::File { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(file_error)?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(std::io::Error::other).and_then(|held| held).map_err(file_error)
}
