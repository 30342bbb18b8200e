//! The queue in a SQLite file.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use apalis::prelude::{BackendExt, Task, TaskSink, WorkerBuilder, WorkerBuilderExt};
use apalis_sqlite::{Config, SqlitePool, SqliteStorage};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use muster_sql::Durability;
use tokio_util::sync::CancellationToken;

use super::every::Every;
use super::{HEARTBEAT, Line, MISSED_HEARTBEATS, Take, Working, broken, hand_on, until_told};
use crate::JobsError;

const FORGET_WORKERS_AFTER: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
pub(crate) struct LiteQueue {
    pool: SqlitePool,
    poll_every: Duration,
}

impl LiteQueue {
    pub async fn open(path: &Path, poll_every: Duration) -> Result<LiteQueue, JobsError> {
        // Not SqliteStorage::setup: it would turn `synchronous` off.
        let pool = muster_sql::open_file(path, Durability::Relaxed, &SqliteStorage::migrations()).await?;
        Ok(LiteQueue { pool, poll_every })
    }

    pub async fn push(&self, line: &Line, tasks: Vec<Task<String>>) -> Result<(), JobsError> {
        self.storage(line).push_all(futures::stream::iter(tasks)).await.map_err(broken)
    }

    pub async fn waiting(&self, line: &Line) -> Result<HashSet<String>, JobsError> {
        let tickets: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT job FROM Jobs WHERE job_type = ? AND status = 'Pending'")
                .bind(line.name())
                .fetch_all(&self.pool)
                .await?;
        Ok(tickets.iter().filter_map(|ticket| serde_json::from_slice(ticket).ok()).collect())
    }

    pub async fn waiting_count(&self, line: &Line) -> Result<usize, JobsError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM Jobs WHERE job_type = ? AND status = 'Pending'")
                .bind(line.name())
                .fetch_one(&self.pool)
                .await?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    pub async fn ping(&self) -> Result<(), JobsError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Boxed here, where all its types are known: the compiler cannot see through them from further away.
    pub fn worker(
        &self,
        line: &Line,
        name: String,
        at_once: usize,
        take: Take,
        shutdown: CancellationToken,
    ) -> Working {
        WorkerBuilder::new(name)
            .backend(self.storage(line).poll_with_strategy(Every::new(self.poll_every)))
            .concurrency(at_once)
            .build(move |job: String| hand_on(take.clone(), job))
            .run_until(until_told(shutdown))
            .boxed()
    }

    fn storage(&self, line: &Line) -> SqliteStorage<String> {
        let config = Config::default()
            .queue(line.name())
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS);
        SqliteStorage::new(&self.pool).with_config(config)
    }

    pub async fn tidy(&self, now: DateTime<Utc>) -> Result<(), JobsError> {
        sqlx::query("DELETE FROM Workers WHERE last_seen < ?")
            .bind((now - FORGET_WORKERS_AFTER).timestamp())
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "DELETE FROM Jobs WHERE status IN ('Done', 'Failed', 'Killed')
                OR (lock_by IS NOT NULL AND lock_by NOT IN (SELECT id FROM Workers))",
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}
