//! The queue in Redis.
//!
//! apalis never removes what it has finished with and unpacks all waiting tasks of a line in one script
//! call: the sweeper keeps the lines short ([`crate::Settings::outstanding`]) and tidies up here.

use std::collections::HashSet;
use std::time::Duration;

use apalis::prelude::{BackendExt, Task, TaskSink, WorkerBuilder, WorkerBuilderExt};
use apalis_redis::{Config, RedisStorage};
use futures::FutureExt;
use redis::AsyncTypedCommands;
use redis::aio::ConnectionManager;
use tokio_util::sync::CancellationToken;

use super::every::Every;
use super::{HEARTBEAT, Line, MISSED_HEARTBEATS, Take, Working, broken, hand_on, until_told};
use crate::JobsError;

/// So many finished tickets are removed at a time.
const TIDY_SLICE: usize = 500;

#[derive(Clone)]
pub(crate) struct RedisQueue {
    connection: ConnectionManager,
    prefix: String,
    poll_every: Duration,
}

impl RedisQueue {
    pub fn new(connection: ConnectionManager, prefix: &str, poll_every: Duration) -> RedisQueue {
        RedisQueue { connection, prefix: prefix.to_owned(), poll_every }
    }

    pub async fn push(&self, line: &Line, tasks: Vec<Task<String>>) -> Result<(), JobsError> {
        self.storage(line).push_all(futures::stream::iter(tasks)).await.map_err(broken)
    }

    pub async fn waiting(&self, line: &Line) -> Result<HashSet<String>, JobsError> {
        let (config, mut redis) = (self.config(line), self.connection.clone());
        let mut tickets = redis.zrange(config.scheduled_jobs_set(), 0, -1).await.map_err(broken)?;
        tickets.extend(redis.lrange(config.active_jobs_list(), 0, -1).await.map_err(broken)?);
        if tickets.is_empty() {
            return Ok(HashSet::new());
        }
        let mut fetch = redis::cmd("HMGET");
        fetch.arg(config.job_data_hash()).arg(tickets);
        let jobs: Vec<Option<Vec<u8>>> = fetch.query_async(&mut redis).await.map_err(broken)?;
        Ok(jobs.iter().flatten().filter_map(|job| serde_json::from_slice(job).ok()).collect())
    }

    pub async fn waiting_count(&self, line: &Line) -> Result<usize, JobsError> {
        let (config, mut redis) = (self.config(line), self.connection.clone());
        let scheduled = redis.zcard(config.scheduled_jobs_set()).await.map_err(broken)?;
        Ok(scheduled + redis.llen(config.active_jobs_list()).await.map_err(broken)?)
    }

    pub async fn ping(&self) -> Result<(), JobsError> {
        self.connection.clone().ping().await.map(drop).map_err(broken)
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

    fn storage(&self, line: &Line) -> RedisStorage<String> {
        RedisStorage::new(self.connection.clone()).with_config(self.config(line))
    }

    fn config(&self, line: &Line) -> Config {
        Config::default()
            .queue(format!("{}:{}", self.prefix, line.name()))
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS)
            // Locks cost a scan for each task, and the job's row guards it already.
            .lock_tasks(false)
            .emit_events(false)
    }

    /// Removes tickets that have been dealt with.
    pub async fn tidy(&self, lines: &[Line]) -> Result<(), JobsError> {
        for line in lines {
            let config = self.config(line);
            for set in [config.done_jobs_set(), config.dead_jobs_set()] {
                while self.remove_some(&config, &set).await? == TIDY_SLICE {}
            }
        }
        Ok(())
    }

    async fn remove_some(&self, config: &Config, set: &str) -> Result<usize, JobsError> {
        let mut redis = self.connection.clone();
        let mut pop = redis::cmd("SPOP");
        pop.arg(set).arg(TIDY_SLICE);
        let tickets: Vec<String> = pop.query_async(&mut redis).await.map_err(broken)?;
        if tickets.is_empty() {
            return Ok(0);
        }
        let mut remove = redis::pipe();
        remove.hdel(config.job_data_hash(), &tickets);
        for ticket in &tickets {
            remove.del(format!("{}:{ticket}", config.job_meta_hash()));
        }
        remove.query_async::<()>(&mut redis).await.map_err(broken)?;
        Ok(tickets.len())
    }
}
