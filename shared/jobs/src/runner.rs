//! From a ticket to a finished row: claim, run, show signs of life, end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_sql::Db;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::queue::{Line, Queue, Ticket};
use crate::slots::Slots;
use crate::store::{self, Due, Ending};
use crate::{Failure, Handler, Job, JobsError, Priority, Run, Settings, State, clock, instruments};

pub(crate) struct Runner {
    pub db: Db,
    pub queue: Queue,
    pub settings: Settings,
    pub stations: HashMap<String, Station>,
    pub shutdown: CancellationToken,
}

/// Where the jobs of one kind run.
pub(crate) struct Station {
    pub handler: Arc<dyn Handler>,
    pub slots: Slots,
}

/// How the handler's time ended.
enum Answer {
    Given(Result<Value, Failure>),
    /// The job was cancelled or lost meanwhile: whatever the handler says no longer counts.
    Void,
    /// The process shuts down: the job goes back.
    GoBack,
    /// The process shuts down, and the handler did not leave off in time. Nobody else may begin while it
    /// still works, so the job stays ours until its lease ends.
    StillBusy,
}

impl Runner {
    /// Deals with one ticket.
    pub async fn take(&self, id: &str, kind: &str, priority: Priority) {
        let Some(station) = self.stations.get(kind) else { return };
        let Some(_place) = self.place(station, id, priority).await else { return };
        let claim = format!("{}-{}", std::process::id(), clock::unique_name());
        match store::claim(&self.db, id, &claim, clock::now(), self.settings.lease).await {
            Ok(Some(job)) => {
                let run = Run::new(self.db.clone(), self.settings.clone(), claim, job);
                self.run(station, run).await;
            }
            Ok(None) => tracing::debug!(job = id, "somebody else has the job, or it has ended"),
            Err(error) => tracing::error!(job = id, %error, "taking a job failed; its row brings it back"),
        }
    }

    /// A place for the job, or None when there is nothing to run.
    async fn place(&self, station: &Station, id: &str, priority: Priority) -> Option<OwnedSemaphorePermit> {
        let _door = station.slots.door(priority).await;
        // A stale or doubled ticket must not keep a good one waiting behind it.
        match self.has_turn(id, &station.handler).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::error!(job = id, %error, "no look at a job; its row brings it back");
                return None;
            }
        }
        tokio::select! {
            place = station.slots.take(priority) => Some(place),
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Whether the job could run now, and its app is not yet at its share while another one waits. What is
    /// turned away here is called in when a job of the same app ends, or by the sweeper.
    async fn has_turn(&self, id: &str, handler: &Arc<dyn Handler>) -> Result<bool, JobsError> {
        let (now, kind) = (clock::now(), handler.kind());
        let Some(party) = store::party_of_due(&self.db, id, now).await? else {
            tracing::debug!(job = id, "ticket without a job to run");
            return Ok(false);
        };
        if store::running_of(&self.db, &party, kind, now).await? < self.settings.share {
            return Ok(true);
        }
        Ok(!store::others_wait(&self.db, &party, kind).await?)
    }

    /// Tickets for the party's next jobs. Too many do no harm; without any the sweeper sees to them.
    async fn call_next(&self, ended: &Job) {
        let line = Line { kind: ended.kind.clone(), priority: ended.priority };
        let of = (ended.kind.as_str(), ended.priority);
        let next = store::due_of(&self.db, ended.party(), of, clock::now(), self.settings.share).await;
        let called = match next {
            Ok(next) if next.is_empty() => return,
            Ok(next) => {
                // Behind the tickets that wait already.
                let since = clock::now();
                let ticket = |job: Due| Ticket { job: job.id, since };
                self.queue.push(&line, next.into_iter().map(ticket).collect()).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = called {
            tracing::warn!(%error, "no ticket for an app's next job; the sweeper will push one");
        }
    }

    async fn run(&self, station: &Station, run: Run) {
        let Job { id, kind, attempt, .. } = &run.job;
        let name = format!("job {kind}");
        let span = tracing::info_span!("job", otel.name = name, otel.kind = "consumer", job = id, attempt);
        if let Some(trace) = &run.job.trace {
            muster_telemetry::continue_trace(&span, trace);
        }
        self.run_in_span(station, run).instrument(span).await;
    }

    async fn run_in_span(&self, station: &Station, run: Run) {
        let job = &run.job;
        tracing::info!(job = job.id, kind = job.kind, attempt = job.attempt, "job started");
        if job.attempt == 1 {
            let waited = clock::now() - job.created_at;
            instruments::started(&job.kind, waited.as_seconds_f64().max(0.0));
        }
        let (handler, own) = (station.handler.clone(), run.clone());
        let work = tokio::spawn(async move { handler.run(&own).await }.in_current_span());
        match self.attend(&run, work).await {
            Answer::Given(Ok(result)) => self.finish(&run, Ending::Done(result)).await,
            Answer::Given(Err(failure)) => self.finish(&run, self.ending_of(&run, failure)).await,
            Answer::Void => tracing::info!(job = job.id, "job was cancelled or lost while it ran"),
            Answer::GoBack => self.hand_back(&run).await,
            Answer::StillBusy => tracing::warn!(job = job.id, "job did not stop in time; its lease will end"),
        }
        if !self.shutdown.is_cancelled() {
            self.call_next(job).await;
        }
    }

    /// Renews the lease until the handler has answered or must be given up.
    async fn attend(&self, run: &Run, mut work: JoinHandle<Result<Value, Failure>>) -> Answer {
        let every = self.settings.renew_every();
        let mut beat = tokio::time::interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lease_end = Instant::now() + self.settings.lease;
        let mut mine = true;
        let mut patience: Option<Instant> = None;
        loop {
            tokio::select! {
                answer = &mut work => return self.weigh(run, mine, answer),
                _ = beat.tick(), if mine => match run.renew(clock::now()).await {
                    Ok(true) => lease_end = Instant::now() + self.settings.lease,
                    Ok(false) => mine = false,
                    Err(error) => {
                        tracing::warn!(job = run.job.id, %error, "renewing a lease failed");
                        mine = Instant::now() < lease_end;
                    }
                },
                () = self.shutdown.cancelled(), if !run.stopped() => run.stop(),
                () = sleep_until(patience.unwrap_or(lease_end)), if patience.is_some() => {
                    work.abort();
                    return if mine { Answer::StillBusy } else { Answer::Void };
                }
            }
            if !mine {
                run.stop();
            }
            if run.stopped() && patience.is_none() {
                patience = Some(Instant::now() + self.settings.grace);
            }
        }
    }

    fn weigh(&self, run: &Run, mine: bool, answer: Result<Result<Value, Failure>, JoinError>) -> Answer {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(job = run.job.id, %error, "a job handler panicked");
                Err(Failure::panicked())
            }
        };
        match answer {
            _ if !mine => Answer::Void,
            Err(_) if self.shutdown.is_cancelled() => Answer::GoBack,
            answer => Answer::Given(answer),
        }
    }

    fn ending_of(&self, run: &Run, failure: Failure) -> Ending {
        let job = &run.job;
        if !failure.retry || job.attempt >= job.max_attempts {
            return Ending::Failed(failure);
        }
        Ending::Again(failure, clock::now() + self.settings.backoff_after(job.attempt))
    }

    async fn finish(&self, run: &Run, ending: Ending) {
        let job = &run.job;
        let now = clock::now();
        let finish = || store::finish(&self.db, &job.id, &run.claim.name, &ending, now);
        if !self.persist(finish).await {
            return tracing::info!(job = job.id, "a late answer was dropped: the job is not this worker's");
        }
        match &ending {
            Ending::Done(_) => instruments::finished(&job.kind, State::Done),
            Ending::Failed(_) => instruments::finished(&job.kind, State::Failed),
            Ending::Again(..) => instruments::retried(&job.kind),
        }
        match &ending {
            Ending::Done(_) => tracing::info!(job = job.id, kind = job.kind, "job done"),
            Ending::Failed(why) => {
                tracing::warn!(job = job.id, kind = job.kind, code = why.code, "job failed")
            }
            Ending::Again(why, at) => {
                tracing::warn!(job = job.id, kind = job.kind, code = why.code, %at, "job will be tried again");
            }
        }
    }

    async fn hand_back(&self, run: &Run) {
        let back = || store::hand_back(&self.db, &run.job.id, &run.claim.name);
        if self.persist(back).await {
            tracing::info!(job = run.job.id, "job handed back");
        }
    }

    /// A write that matters: tried for as long as the lease holds. Whether the row was still ours.
    async fn persist<F>(&self, write: impl Fn() -> F) -> bool
    where
        F: Future<Output = Result<bool, JobsError>>,
    {
        let give_up = Instant::now() + self.settings.lease;
        loop {
            match write().await {
                Ok(written) => return written,
                Err(error) if Instant::now() < give_up => {
                    tracing::warn!(%error, "writing down how a job ended failed; trying again");
                }
                Err(error) => {
                    tracing::error!(%error, "how a job ended could not be written down; it will run again");
                    return false;
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}
