//! What can go wrong with the database.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("bringing the tables of {what} up to date: {source}")]
    Migrate { what: String, source: sqlx::migrate::MigrateError },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// Without the text: it may hold a password.
    #[error("the database's address can't be read: write mysql://user:password@host:4000/muster")]
    Url,
    #[error(
        "the database's tables are at version {applied}, this program needs {newest}: run `muster migrate`"
    )]
    NotMigrated { applied: i64, newest: i64 },
    #[error("another process has been migrating the database for ten minutes")]
    MigrationRuns,
    #[error("the database takes packets of {is} bytes only: set max_allowed_packet to {least} or more")]
    Packet { is: u64, least: u64 },
}

impl SqlError {
    /// Whether the database could not be reached, or broke the connection off.
    pub fn is_away(&self) -> bool {
        matches!(self, SqlError::Database(error) if is_away(error))
    }
}

/// Whether a statement was refused because a row with the same key is there already.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation())
}

/// Whether a transaction lost against another one that wrote the same rows: done again from its start it
/// may hold.
pub fn is_conflict(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // Waited too long for a lock, a deadlock, the table was altered; TiDB: aborted, altered, in conflict.
    let lost = error
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .is_some_and(|error| matches!(error.number(), 1205 | 1213 | 1412 | 8022 | 8028 | 9007));
    lost || error.is_unique_violation()
}

/// Whether the database could not be reached, or broke the connection off: the same statement may hold a
/// moment later. A write may have been done all the same.
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        // Shutting down, killed, gone, lost, read-only while it fails over.
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().is_some_and(|error| {
                matches!(error.number(), 1053 | 1077 | 1317 | 1927 | 2006 | 2013 | 1290 | 1836)
            })
        }
        // What is left of an answer that was cut off.
        sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}
