//! What can go wrong with the database.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("bringing the tables of {path} up to date: {source}")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

/// Whether a statement was refused because a row with the same key is there already.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation())
}
