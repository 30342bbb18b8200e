//! How a MySQL-compatible server (MySQL 8, MariaDB 10.6 or later, TiDB 8) is reached, and how its tables
//! are brought up to date.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, MySqlPool};

use crate::SqlError;

/// The tables of a server. Each file may be applied again: a server that died half way through one leaves
/// what no transaction takes back.
static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/mysql");

/// A request waits this long for a connection before it is told that the database is away.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);
/// A connection that has served for so long is replaced, so that a proxy's new target gets its share.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Kept answers and rules are the largest rows, of 1 MiB each; TiDB refuses entries above 6 MiB.
const LEAST_PACKET: u64 = 8 << 20;

/// Of this database, not of the whole server; waits for ten minutes. The names of locks have 64 letters.
const LOCK: &str = "SELECT CAST(GET_LOCK(CONCAT('muster.', MD5(DATABASE())), 600) AS SIGNED)";

/// Where a server is, and how much of it to take.
#[derive(Clone)]
pub struct Server {
    options: MySqlConnectOptions,
    connections: u32,
}

impl Server {
    /// Reads `mysql://user:password@host:port/database`.
    pub fn new(url: &str, connections: u32) -> Result<Server, SqlError> {
        let named = url.strip_prefix("mysql://").and_then(|rest| rest.rsplit_once('/'));
        if named.is_none_or(|(_, database)| database.split('?').next().unwrap_or("").is_empty()) {
            return Err(SqlError::Url);
        }
        // Its own words could repeat the password.
        let options = MySqlConnectOptions::from_str(url).map_err(|_| SqlError::Url)?;
        Ok(Server { options: options.disable_statement_logging(), connections })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.connections).finish_non_exhaustive()
    }
}

pub(crate) async fn connect(server: &Server) -> Result<MySqlPool, SqlError> {
    let pool = MySqlPoolOptions::new()
        .max_connections(server.connections)
        .acquire_timeout(ACQUIRE_WITHIN)
        .max_lifetime(LIFETIME)
        .after_connect(|connection, _| {
            // Guarded statements need no gap locks, and a repeatable read would hide what others commit.
            let query = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
            Box::pin(async move { connection.execute(query).await.map(drop) })
        })
        .connect_with(server.options.clone())
        .await?;
    check(&pool).await?;
    Ok(pool)
}

async fn check(pool: &MySqlPool) -> Result<(), SqlError> {
    let packet: u64 =
        sqlx::query_scalar("SELECT CAST(@@max_allowed_packet AS UNSIGNED)").fetch_one(pool).await?;
    if packet < LEAST_PACKET {
        return Err(SqlError::Packet { is: packet, least: LEAST_PACKET });
    }
    let newest = TABLES.iter().map(|migration| migration.version).max().unwrap_or(0);
    let applied = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success = TRUE";
    let applied: i64 = match sqlx::query_scalar(applied).fetch_one(pool).await {
        Ok(version) => version,
        Err(error) if is_unknown_table(&error) => 0,
        Err(error) => return Err(error.into()),
    };
    if applied < newest {
        return Err(SqlError::NotMigrated { applied, newest });
    }
    Ok(())
}

/// Brings the tables of a server up to date; returns the versions that were applied now. Of several
/// processes that migrate at once, one does and the others wait for it.
pub async fn migrate(server: &Server) -> Result<Vec<i64>, SqlError> {
    let failed = |source| SqlError::Migrate { what: "the server".into(), source };
    let mut connection = MySqlConnection::connect_with(&server.options).await?;
    // Not sqlx's own lock: it waits with a time-out of -1, which MariaDB takes for "do not".
    let locked: Option<i64> = sqlx::query_scalar(LOCK).fetch_one(&mut connection).await?;
    if locked != Some(1) {
        return Err(SqlError::MigrationRuns);
    }
    let migrated = apply(&mut connection).await;
    // The lock ends with the connection.
    connection.close().await?;
    migrated.map_err(failed)
}

async fn apply(connection: &mut MySqlConnection) -> Result<Vec<i64>, MigrateError> {
    let table = &TABLES.table_name;
    connection.ensure_migrations_table(table).await?;
    if let Some(version) = connection.dirty_version(table).await? {
        // Half applied by a process that died: applied again from its start.
        let forget = "DELETE FROM _sqlx_migrations WHERE version = ? AND success = FALSE";
        sqlx::query(forget).bind(version).execute(&mut *connection).await?;
    }
    let applied = connection.list_applied_migrations(table).await?;
    let mut now = Vec::new();
    for migration in TABLES.iter() {
        match applied.iter().find(|done| done.version == migration.version) {
            Some(done) if done.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
            None => {
                connection.apply(table, migration).await?;
                now.push(migration.version);
            }
        }
    }
    Ok(now)
}

fn is_unknown_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42S02"))
}
