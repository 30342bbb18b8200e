//! Once a second: whatever nobody takes care of gets a ticket, and what has used up its attempts ends.

use chrono::{DateTime, Utc};
use muster_sql::Db;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::queue::{Line, Queue, Ticket};
use crate::{Failure, JobsError, Settings, State, clock, instruments, store};

/// Used tickets are removed every so many rounds.
const ROUNDS_BETWEEN_TIDYING: u32 = 60;

pub(crate) struct Sweeper {
    pub db: Db,
    pub queue: Queue,
    pub settings: Settings,
    /// Shown as idle when nothing of them waits or runs.
    pub kinds: Vec<String>,
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
        self.bury_lost(now).await?;
        let load = store::load(&self.db).await?;
        for kind in &self.kinds {
            let of_kind = load.iter().filter(|line| &line.kind == kind);
            let (queued, running) = of_kind
                .fold((0, 0), |(queued, running), line| (queued + line.queued, running + line.running));
            instruments::load(kind, queued, running);
        }
        for line in load {
            self.push_missing(Line { kind: line.kind, priority: line.priority }, now).await?;
        }
        if tidy {
            self.queue.tidy(now).await?;
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
        let due = store::due(&self.db, &line.kind, line.priority, now, self.settings.outstanding).await?;
        if due.is_empty() {
            return Ok(());
        }
        let waiting = self.queue.waiting(&line).await?;
        let room = self.settings.outstanding.saturating_sub(waiting.len());
        let missing = due.into_iter().filter(|job| !waiting.contains(&job.id)).take(room);
        let tickets: Vec<_> = missing.map(|job| Ticket { job: job.id, since: job.created_at }).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        self.queue.push(&line, tickets).await
    }
}
