//! Once a second: whatever nobody takes care of gets a ticket, what has used up its attempts ends, and a
//! job whose ticket lies about is run without it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use muster_sql::Db;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::jobs::TICKETS_OF_PARTY;
use crate::queue::{Line, Queue, Ticket};
use crate::runner::Runner;
use crate::store::Due;
use crate::{Failure, JobsError, Priority, Settings, State, clock, instruments, store};

/// Used tickets are removed every so many rounds.
const ROUNDS_BETWEEN_TIDYING: u32 = 60;
/// A job that waits longer than this, in seconds, is run whether or not the queue hands out its ticket.
const OVERDUE_SECONDS: i64 = 5;

pub(crate) struct Sweeper {
    pub db: Db,
    pub queue: Queue,
    pub settings: Settings,
    pub runner: Arc<Runner>,
    pub running: TaskTracker,
    /// Jobs taken without their tickets, until they have ended.
    pub rescued: Arc<Mutex<HashSet<String>>>,
}

impl Sweeper {
    pub async fn run(self, shutdown: CancellationToken) {
        let mut round = tokio::time::interval(self.settings.sweep_every);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for n in (0..ROUNDS_BETWEEN_TIDYING).cycle() {
            tokio::select! {
                _ = round.tick() => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.sweep(clock::now(), n == 0).await {
                tracing::error!(%error, "sweeping the jobs failed; the next round tries again");
            }
        }
    }

    async fn sweep(&self, now: DateTime<Utc>, tidy: bool) -> Result<(), JobsError> {
        let (open, idle) = self.db.connections();
        instruments::database(open, idle);
        self.bury_lost(now).await?;
        let load = store::load(&self.db).await?;
        for kind in self.runner.stations.keys() {
            let of_kind = load.iter().filter(|line| &line.kind == kind);
            let (queued, running) = of_kind
                .fold((0, 0), |(queued, running), line| (queued + line.queued, running + line.running));
            instruments::load(kind, queued, running);
        }
        for line in load {
            self.push_missing(Line { kind: line.kind, priority: line.priority }, now).await?;
        }
        if tidy {
            let kinds = self.runner.stations.keys();
            let lines =
                kinds.flat_map(|kind| Priority::ALL.map(|priority| Line { kind: kind.clone(), priority }));
            self.queue.tidy(&lines.collect::<Vec<_>>(), now).await?;
        }
        Ok(())
    }

    async fn bury_lost(&self, now: DateTime<Utc>) -> Result<(), JobsError> {
        for job in store::lost(&self.db, now).await? {
            let cause = Failure::exhausted(job.attempt, self.settings.lease, job.error.as_ref());
            if store::bury(&self.db, &job, &cause, now).await? {
                tracing::warn!(job = job.id, kind = job.kind, "job given up: {}", cause.detail);
                instruments::finished(&job.kind, State::Failed);
            }
        }
        Ok(())
    }

    /// A ticket for each job that could run and has none waiting, as far as the line has room. A job
    /// whose ticket was taken a moment ago may get a second one, which its claim then makes worthless.
    async fn push_missing(&self, line: Line, now: DateTime<Utc>) -> Result<(), JobsError> {
        let most = (TICKETS_OF_PARTY, self.settings.outstanding);
        let due = store::due(&self.db, &line.kind, line.priority, now, most).await?;
        if due.is_empty() {
            return Ok(());
        }
        self.rescue(&line, &due, now);
        let waiting = self.queue.waiting(&line).await?;
        instruments::tickets(&line.name(), waiting.len());
        let room = self.settings.outstanding.saturating_sub(waiting.len());
        let missing = due.into_iter().filter(|job| !waiting.contains(&job.id)).take(room);
        let tickets: Vec<_> = missing.map(|job| Ticket { job: job.id, since: now }).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        self.queue.push(&line, tickets).await
    }

    /// The queue's workers have been seen to fall silent. Taking a job is guarded by its row, so one that
    /// gets its ticket after all is not run twice.
    fn rescue(&self, line: &Line, due: &[Due], now: DateTime<Utc>) {
        let Some(station) = self.runner.stations.get(&line.kind) else { return };
        let overdue = |job: &&Due| (now - job.created_at).num_seconds() >= OVERDUE_SECONDS;
        for job in due.iter().filter(overdue).take(station.handler.concurrency()) {
            let rescued = || self.rescued.lock().unwrap_or_else(PoisonError::into_inner);
            if !rescued().insert(job.id.clone()) {
                continue;
            }
            let (runner, line, id) = (self.runner.clone(), line.clone(), job.id.clone());
            let done = self.rescued.clone();
            self.running.spawn(async move {
                runner.take(&id, &line.kind, line.priority).await;
                done.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            });
        }
    }
}
