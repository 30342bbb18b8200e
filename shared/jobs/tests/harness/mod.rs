//! A folder with real files, jobs on them, and handlers made of closures.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use muster_jobs::{Failure, Handler, Job, Jobs, NewJob, Priority, QueueAt, Run, Settings, State};
use muster_sql::{Db, on};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn settings() -> Settings {
    Settings {
        lease: Duration::from_secs(6),
        backoff: Duration::from_millis(50),
        sweep_every: Duration::from_millis(100),
        poll_every: Duration::from_millis(30),
        grace: Duration::from_secs(5),
        ..Settings::default()
    }
}

/// For tests that wait for a lease to end.
pub fn short_lease() -> Settings {
    Settings { lease: Duration::from_secs(2), ..settings() }
}

pub async fn open(folder: &Path, settings: Settings) -> (Db, Jobs) {
    let db = muster_real_servers::database(folder).await;
    let queue = match muster_real_servers::redis(folder) {
        Some((url, prefix)) => QueueAt::redis(&url, &prefix).unwrap(),
        None => QueueAt::File(folder.join("queue.db")),
    };
    let jobs = Jobs::new(db.clone(), &queue, settings).await.unwrap();
    (db, jobs)
}

pub struct Harness {
    pub folder: TempDir,
    pub db: Db,
    pub jobs: Jobs,
}

impl Harness {
    pub async fn new() -> Harness {
        Harness::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Harness {
        let folder = tempfile::tempdir().unwrap();
        let (db, jobs) = open(folder.path(), settings).await;
        Harness { folder, db, jobs }
    }

    pub async fn enqueue(&self, kind: &'static str, payload: Value) -> Job {
        self.jobs.enqueue(new_job(kind, payload)).await.unwrap()
    }

    pub fn work(&self, handlers: Vec<Arc<dyn Handler>>) -> Workers {
        let (stop, stopped) = oneshot::channel::<()>();
        let jobs = self.jobs.clone();
        let task = tokio::spawn(async move {
            let shutdown = async {
                stopped.await.ok();
            };
            jobs.run_workers(handlers, shutdown).await.unwrap();
        });
        Workers { stop, task }
    }

    /// The job, once it is in this state.
    pub async fn until(&self, id: &str, state: State) -> Job {
        until(&self.jobs, id, state).await
    }

    /// Changes rows behind the back of the crate, as a crash or another process would.
    pub async fn meddle(&self, sql: &'static str, id: &str) {
        let done = on!(&self.db, pool =>
            sqlx::query(sql).bind(id).execute(pool).await.unwrap().rows_affected());
        assert_eq!(done, 1);
    }
}

pub async fn until(jobs: &Jobs, id: &str, state: State) -> Job {
    let began = Instant::now();
    loop {
        let job = jobs.get(id).await.unwrap().unwrap();
        if job.state == state {
            return job;
        }
        assert!(!job.state.is_final() && began.elapsed() < PATIENCE, "waiting for {state:?}: {job:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn new_job(kind: &'static str, payload: Value) -> NewJob {
    NewJob {
        id: None,
        app_id: Some("shop".to_owned()),
        owner: "local".to_owned(),
        kind,
        payload,
        priority: Priority::Interactive,
    }
}

pub struct Workers {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Workers {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the workers end").unwrap();
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

struct Closure<F> {
    kind: &'static str,
    at_once: usize,
    act: F,
}

#[async_trait]
impl<F: Fn(Run) -> Answer + Send + Sync> Handler for Closure<F> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn concurrency(&self) -> usize {
        self.at_once
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        (self.act)(run.clone()).await
    }
}

pub fn handler<Fut>(
    kind: &'static str,
    at_once: usize,
    act: impl Fn(Run) -> Fut + Send + Sync + 'static,
) -> Arc<dyn Handler>
where
    Fut: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    Arc::new(Closure { kind, at_once, act: move |run| -> Answer { Box::pin(act(run)) } })
}

/// Works until it is told to stop.
pub fn endless(kind: &'static str) -> Arc<dyn Handler> {
    handler(kind, 1, |run| async move {
        run.progress(0.25);
        run.until_stopped().await;
        Err(Failure::stopped())
    })
}

pub fn quick(kind: &'static str) -> Arc<dyn Handler> {
    handler(kind, 2, |run| async move { Ok(json!({ "attempt": run.job.attempt })) })
}
