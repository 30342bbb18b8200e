//! The queue behind one small type: apalis on SQLite, in a file of its own.
//!
//! A ticket is a job's id and nothing else. Tickets may be lost, doubled or stale, the whole file may
//! vanish: the sweeper sees from the rows what needs a new one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::prelude::{
    BackendExt, PollSnapshot, PollStrategy, TaskBuilder, TaskId, TaskSink, WorkerBuilder, WorkerBuilderExt,
    WorkerError,
};
use apalis_sqlite::{Config, SqlitePool, SqliteStorage};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use muster_sql::Durability;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{JobsError, Priority, clock};

/// A ticket held by a worker that gave no sign of life for three beats waits again.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: usize = 3;
/// The pause after a worker fell over, so that a full disk does not make it spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const FORGET_WORKERS_AFTER: Duration = Duration::from_secs(24 * 3600);

/// One line of tickets: jobs of one kind and priority.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub kind: String,
    pub priority: Priority,
}

impl Line {
    /// Stored with every ticket: a change would strand those that wait.
    fn name(&self) -> String {
        format!("muster.{}.{}", self.kind, self.priority.name())
    }
}

pub(crate) struct Ticket {
    pub job: String,
    /// When the job was made.
    pub since: DateTime<Utc>,
}

impl Ticket {
    /// apalis hands out tickets by second and id: this one keeps the order of the jobs, even of those
    /// made in one millisecond, and differs from other tickets for the same job.
    fn id(&self) -> Ulid {
        let fresh = Ulid::from_datetime(self.since.into());
        match self.job.strip_prefix("job_").map(Ulid::from_string) {
            Some(Ok(job)) => Ulid::from_parts(job.timestamp_ms(), job.random() << 32 | fresh.random() >> 48),
            _ => fresh,
        }
    }
}

/// What is done with a ticket. It deals with its own errors: a ticket is used up in any case.
pub(crate) type Take = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Queue {
    pool: SqlitePool,
    poll_every: Duration,
}

impl Queue {
    pub async fn open(path: &Path, poll_every: Duration) -> Result<Queue, JobsError> {
        // Not SqliteStorage::setup: it would turn `synchronous` off.
        let pool = muster_sql::open_file(path, Durability::Relaxed, &SqliteStorage::migrations()).await?;
        Ok(Queue { pool, poll_every })
    }

    pub async fn push(&self, line: &Line, tickets: Vec<Ticket>) -> Result<(), JobsError> {
        let tasks = tickets.into_iter().map(|ticket| {
            let id = ticket.id();
            TaskBuilder::new(ticket.job)
                .task_id(TaskId::from_ulid(id))
                .run_at_timestamp(ticket.since.timestamp().unsigned_abs())
                .build()
        });
        let mut storage = self.storage(line);
        storage
            .push_all(futures::stream::iter(tasks.collect::<Vec<_>>()))
            .await
            .map_err(|error| JobsError::Queue(error.to_string()))
    }

    /// The jobs that have a ticket no worker has taken yet.
    pub async fn waiting(&self, line: &Line) -> Result<HashSet<String>, JobsError> {
        let tickets: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT job FROM Jobs WHERE job_type = ? AND status = 'Pending'")
                .bind(line.name())
                .fetch_all(&self.pool)
                .await?;
        Ok(tickets.iter().filter_map(|ticket| serde_json::from_slice(ticket).ok()).collect())
    }

    /// How many tickets [`Queue::waiting`] would list.
    pub async fn waiting_count(&self, line: &Line) -> Result<usize, JobsError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM Jobs WHERE job_type = ? AND status = 'Pending'")
                .bind(line.name())
                .fetch_one(&self.pool)
                .await?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Takes tickets of the line, `at_once` at a time, until `shutdown`; returns when those taken are
    /// dealt with. A worker that falls over is replaced.
    pub async fn work(&self, line: Line, at_once: usize, take: Take, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            // In a task of its own, so that a panic in there is just another way to fall over.
            let worker = self.worker(&line, at_once, take.clone(), shutdown.clone());
            let ended = tokio::spawn(worker).await;
            if shutdown.is_cancelled() {
                return;
            }
            tracing::error!(line = line.name(), ?ended, "a queue worker stopped; another one takes over");
            tokio::select! {
                () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Boxed here, where all its types are known: the compiler cannot see through them from further away.
    fn worker(
        &self,
        line: &Line,
        at_once: usize,
        take: Take,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), WorkerError>> {
        let hand_on = move |job: String| {
            let taken = take(job);
            async move {
                taken.await;
                Ok::<(), WorkerError>(())
            }
        };
        // A name that was used before is refused until its heartbeats are forgotten.
        let name = format!("{}.{}", line.name(), clock::unique_name());
        let stop = async move {
            shutdown.cancelled().await;
            Ok::<(), WorkerError>(())
        };
        WorkerBuilder::new(name)
            .backend(self.storage(line).poll_with_strategy(Every::new(self.poll_every)))
            .concurrency(at_once)
            .build(hand_on)
            .run_until(stop)
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

    /// Removes used tickets, and workers that are gone.
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

/// Wakes an idle worker at each tick. apalis' own interval does not ask to be woken again when a tick has
/// just come; the worker then now and then sleeps on until its next heartbeat.
struct Every(Interval);

impl Every {
    fn new(period: Duration) -> Every {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Every(interval)
    }
}

impl PollStrategy for Every {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut woken = Poll::Pending;
        while self.0.poll_tick(cx).is_ready() {
            woken = Poll::Ready(Some(()));
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_keep_the_order_of_jobs_and_differ() {
        let since = DateTime::from_timestamp_millis(1_790_000_000_123).unwrap();
        let made = Ulid::from_datetime(since.into());
        let ticket = |job: Ulid| Ticket { job: format!("job_{job}"), since }.id();
        let earlier = Ulid::from_parts(made.timestamp_ms(), 7);
        let later = Ulid::from_parts(made.timestamp_ms(), 8);
        assert!(ticket(earlier) < ticket(later));
        assert_ne!(ticket(made), ticket(made));
        assert_eq!(ticket(made).timestamp_ms(), 1_790_000_000_123);
        assert_eq!(Ticket { job: "mine".to_owned(), since }.id().timestamp_ms(), 1_790_000_000_123);
    }
}
