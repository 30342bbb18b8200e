//! What a handler is, and what it holds while it runs a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use muster_sql::Db;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{Failure, Job, JobsError, Settings, clock, store};

/// Runs the jobs of one kind.
///
/// A job may be run twice, even at the same time for a moment: publish atomically, and make the second
/// time harmless. Work that computes or blocks belongs on its own thread (`spawn_blocking`), otherwise
/// the job cannot show that it lives.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Stable: it is stored in rows and names the line in the queue.
    fn kind(&self) -> &'static str;

    /// How many jobs of this kind run at once in one process; at least 1.
    fn concurrency(&self) -> usize;

    /// The answer becomes the job's result. A panic is a failure with the code `internal`.
    async fn run(&self, run: &Run) -> Result<Value, Failure>;
}

/// One attempt at a job. Clones are the same attempt, for use on other threads.
#[derive(Clone)]
pub struct Run {
    /// As it was when the attempt began; `payload` and `attempt` are what handlers need.
    pub job: Job,
    pub(crate) claim: Arc<Claim>,
}

pub(crate) struct Claim {
    pub db: Db,
    pub settings: Settings,
    /// Names this attempt in the row: what guards every later write.
    pub name: String,
    /// The bits of an f64.
    progress: AtomicU64,
    stop: CancellationToken,
}

impl Run {
    pub(crate) fn new(db: Db, settings: Settings, name: String, job: Job) -> Run {
        let claim = Claim { db, settings, name, progress: AtomicU64::new(0), stop: CancellationToken::new() };
        Run { job, claim: Arc::new(claim) }
    }

    /// The app that the job is about.
    ///
    /// # Errors
    /// `bad_payload` where it names none.
    pub fn app(&self) -> Result<&str, Failure> {
        let app = self.job.app_id.as_deref();
        app.ok_or_else(|| Failure::new("bad_payload", "the job names no app"))
    }

    /// What the job was asked for with.
    ///
    /// # Errors
    /// `bad_payload` where it is something else.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let read = serde_json::from_value(self.job.payload.clone());
        read.map_err(|error| Failure::new("bad_payload", format!("the job can't be read: {error}")))
    }

    /// Says how far the job is, from 0 to 1. Cheap: the row learns it with the next sign of life.
    pub fn progress(&self, done: f64) {
        let done = if done.is_finite() { done.clamp(0.0, 1.0) } else { 0.0 };
        self.claim.progress.store(done.to_bits(), Ordering::Relaxed);
    }

    /// Whether to leave off now: the job was cancelled, its lease is lost, or the process shuts down.
    /// Cheap; ask it between pieces of work, and answer [`Failure::stopped`].
    pub fn stopped(&self) -> bool {
        self.claim.stop.is_cancelled()
    }

    /// Waits until [`Run::stopped`].
    pub async fn until_stopped(&self) {
        self.claim.stop.cancelled().await;
    }

    /// Asks the row itself whether the job is still this attempt's to finish, and renews its lease.
    /// For the moment before a step that shows, so that a job which was just cancelled publishes nothing.
    pub async fn still_mine(&self) -> Result<bool, JobsError> {
        if self.stopped() {
            return Ok(false);
        }
        let mine = self.renew(clock::now()).await?;
        if !mine {
            self.stop();
        }
        Ok(mine)
    }

    pub(crate) async fn renew(&self, now: DateTime<Utc>) -> Result<bool, JobsError> {
        let claim = &self.claim;
        let progress = f64::from_bits(claim.progress.load(Ordering::Relaxed));
        store::renew(&claim.db, &self.job.id, &claim.name, progress, now + claim.settings.lease).await
    }

    pub(crate) fn stop(&self) {
        self.claim.stop.cancel();
    }
}
