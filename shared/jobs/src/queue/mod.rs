//! The queue behind one small type: apalis on SQLite in a file of its own, or on Redis.
//!
//! A ticket is a job's id and nothing else. Tickets may be lost, doubled or stale, the whole queue may
//! vanish: the sweeper sees from the rows what needs a new one.

mod every;
mod lite;
mod redis;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use apalis::prelude::{TaskBuilder, TaskId, WorkerError};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{JobsError, Priority, clock};
use lite::LiteQueue;
use redis::RedisQueue;

/// A ticket held by a worker that gave no sign of life for three beats waits again.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: usize = 3;
/// The pause after a worker fell over, so that a full disk or a lost server does not make it spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Without an answer from Redis for so long, it is taken for away.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where the queue is.
#[derive(Clone)]
pub enum QueueAt {
    /// A SQLite file of its own, made when it is missing: for the processes of one machine.
    File(PathBuf),
    /// A Redis server, by its connection. Every name in it begins with the prefix.
    Redis { connection: ConnectionManager, prefix: String },
}

impl QueueAt {
    /// A Redis server, `redis://host:port/database`. It need not be there yet: without it jobs run from
    /// their rows.
    pub fn redis(url: &str, prefix: &str) -> Result<QueueAt, JobsError> {
        // The library's own words could repeat a password.
        let unreadable =
            |_| JobsError::Queue("the address of Redis can't be read: write redis://host:6379/0".into());
        let client = ::redis::Client::open(url).map_err(unreadable)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(broken)?;
        Ok(QueueAt::Redis { connection, prefix: prefix.to_owned() })
    }
}

/// One line of tickets: jobs of one kind and priority.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub kind: String,
    pub priority: Priority,
}

impl Line {
    /// Stored with every ticket: a change would strand those that wait.
    pub fn name(&self) -> String {
        format!("muster.{}.{}", self.kind, self.priority.name())
    }
}

pub(crate) struct Ticket {
    pub job: String,
    /// Its place among the tickets that wait, to the second: when the job was made, and of a further ticket when that
    /// was pushed, so that an old job's tickets do not stand before those of younger jobs again and again.
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

    fn into_task(self) -> apalis::prelude::Task<String> {
        let id = self.id();
        TaskBuilder::new(self.job)
            .task_id(TaskId::from_ulid(id))
            .run_at_timestamp(self.since.timestamp().unsigned_abs())
            .build()
    }
}

/// What is done with a ticket. It deals with its own errors: a ticket is used up in any case.
pub(crate) type Take = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

/// A worker of the queue until it falls over or is told to stop.
type Working = BoxFuture<'static, Result<(), WorkerError>>;

#[derive(Clone)]
pub(crate) enum Queue {
    Lite(LiteQueue),
    Redis(RedisQueue),
}

impl Queue {
    pub async fn open(at: &QueueAt, poll_every: Duration) -> Result<Queue, JobsError> {
        Ok(match at {
            QueueAt::File(path) => Queue::Lite(LiteQueue::open(path, poll_every).await?),
            QueueAt::Redis { connection, prefix } => {
                Queue::Redis(RedisQueue::new(connection.clone(), prefix, poll_every))
            }
        })
    }

    pub async fn push(&self, line: &Line, tickets: Vec<Ticket>) -> Result<(), JobsError> {
        let tasks: Vec<_> = tickets.into_iter().map(Ticket::into_task).collect();
        match self {
            Queue::Lite(queue) => queue.push(line, tasks).await,
            Queue::Redis(queue) => queue.push(line, tasks).await,
        }
    }

    /// The jobs that have a ticket no worker has taken yet.
    pub async fn waiting(&self, line: &Line) -> Result<HashSet<String>, JobsError> {
        match self {
            Queue::Lite(queue) => queue.waiting(line).await,
            Queue::Redis(queue) => queue.waiting(line).await,
        }
    }

    /// How many tickets [`Queue::waiting`] would list.
    pub async fn waiting_count(&self, line: &Line) -> Result<usize, JobsError> {
        match self {
            Queue::Lite(queue) => queue.waiting_count(line).await,
            Queue::Redis(queue) => queue.waiting_count(line).await,
        }
    }

    /// Whether the queue answers.
    pub async fn ping(&self) -> Result<(), JobsError> {
        match self {
            Queue::Lite(queue) => queue.ping().await,
            Queue::Redis(queue) => queue.ping().await,
        }
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
            tracing::warn!(line = line.name(), ?ended, "a queue worker stopped; another one takes over");
            tokio::select! {
                () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    fn worker(&self, line: &Line, at_once: usize, take: Take, shutdown: CancellationToken) -> Working {
        // A name that was used before is refused until its heartbeats are forgotten.
        let name = format!("{}.{}", line.name(), clock::unique_name());
        match self {
            Queue::Lite(queue) => queue.worker(line, name, at_once, take, shutdown),
            Queue::Redis(queue) => queue.worker(line, name, at_once, take, shutdown),
        }
    }

    /// Removes used tickets, and workers that are gone.
    pub async fn tidy(&self, lines: &[Line], now: DateTime<Utc>) -> Result<(), JobsError> {
        match self {
            Queue::Lite(queue) => queue.tidy(now).await,
            Queue::Redis(queue) => queue.tidy(lines).await,
        }
    }

    pub async fn close(&self) {
        if let Queue::Lite(queue) = self {
            queue.close().await;
        }
    }
}

/// Deals with one ticket; as apalis sees it, that always succeeds.
async fn hand_on(take: Take, job: String) -> Result<(), WorkerError> {
    take(job).await;
    Ok(())
}

async fn until_told(shutdown: CancellationToken) -> Result<(), WorkerError> {
    shutdown.cancelled().await;
    Ok(())
}

fn broken(error: impl std::fmt::Display) -> JobsError {
    JobsError::Queue(error.to_string())
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
