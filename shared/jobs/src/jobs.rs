//! The face of this crate: enqueue, look, cancel, work.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::Stream;
use muster_sql::Db;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use ulid::{Generator, Ulid};

use crate::queue::{Line, Queue, QueueAt, Take, Ticket};
use crate::runner::{Runner, Station};
use crate::slots::Slots;
use crate::sweeper::Sweeper;
use crate::{Handler, Job, JobsError, NewJob, Priority, Settings, State, clock, instruments, store};

/// So many of a party's jobs of one kind have tickets at once.
pub(crate) const TICKETS_OF_PARTY: usize = 16;
/// How often [`Jobs::changes`] looks at the row.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Clones are the same jobs.
#[derive(Clone)]
pub struct Jobs {
    db: Db,
    queue: Queue,
    settings: Settings,
    ids: Arc<Mutex<Generator>>,
}

/// Which jobs to list; everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only jobs of these apps. None: of every app, and those that belong to none.
    pub apps: Option<BTreeSet<String>>,
    pub app: Option<String>,
    pub kind: Option<String>,
    pub state: Option<State>,
}

/// A part of a list, newest first; `next` is the cursor of the part that follows.
#[derive(Debug)]
pub struct JobPage {
    pub items: Vec<Job>,
    pub next: Option<String>,
}

/// What became of the wish to cancel; with the job as it is now.
#[derive(Debug)]
pub enum Cancel {
    /// It is cancelled, now or since before.
    Cancelled(Job),
    /// It was done or had failed.
    AlreadyFinished(Job),
    NotFound,
}

/// How many jobs of a kind and priority wait and run, in all processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    pub kind: String,
    pub priority: Priority,
    pub queued: u64,
    pub running: u64,
}

impl Jobs {
    /// Losing what `queue` names, or finding it empty, loses no job.
    pub async fn new(db: Db, queue: &QueueAt, settings: Settings) -> Result<Jobs, JobsError> {
        let queue = Queue::open(queue, settings.poll_every).await?;
        Ok(Jobs { db, queue, settings, ids: Arc::new(Mutex::new(Generator::new())) })
    }

    /// Accepts a job: once this returns, it will end. An id that is taken is [`JobsError::Exists`].
    pub async fn enqueue(&self, new: NewJob) -> Result<Job, JobsError> {
        let span = tracing::info_span!("enqueue", otel.kind = "producer", kind = new.kind);
        self.accept(new).instrument(span).await
    }

    /// Accepts a job unless one of the same app and kind waits already: then that one is answered. It has
    /// not begun, so it will see what was done before this was called. For kinds that need no payload.
    pub async fn enqueue_unless_waiting(&self, new: NewJob) -> Result<Job, JobsError> {
        let waiting = Filter {
            app: new.app_id.clone(),
            kind: Some(new.kind.to_owned()),
            state: Some(State::Queued),
            ..Filter::default()
        };
        let waiting = store::page(&self.db, &waiting, None, 1).await?;
        // One that nobody waits for goes last: whoever waits gets a job of their own.
        match waiting.into_iter().find(|job| job.priority <= new.priority) {
            Some(job) => Ok(job),
            None => self.enqueue(new).await,
        }
    }

    async fn accept(&self, new: NewJob) -> Result<Job, JobsError> {
        let now = clock::now();
        let job = Job {
            id: new.id.unwrap_or_else(|| self.new_id(now)),
            app_id: new.app_id,
            owner: new.owner,
            kind: new.kind.to_owned(),
            priority: new.priority,
            state: State::Queued,
            progress: 0.0,
            attempt: 0,
            max_attempts: self.settings.max_attempts,
            payload: new.payload,
            error: None,
            result: None,
            trace: muster_telemetry::traceparent(),
            created_at: now,
            started_at: None,
            finished_at: None,
            position: None,
        };
        store::insert(&self.db, &job).await?;
        if let Err(error) = self.push_ticket(&job).await {
            // Accepted all the same: the sweeper finds rows without a ticket.
            tracing::warn!(job = job.id, %error, "no ticket pushed; the sweeper will");
        }
        Ok(job)
    }

    /// `job_` and a ULID; later ones of this process sort after earlier ones.
    fn new_id(&self, now: DateTime<Utc>) -> String {
        let mut ids = self.ids.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let id = ids.generate_from_datetime(now.into()).unwrap_or_else(|_| Ulid::from_datetime(now.into()));
        format!("job_{id}")
    }

    async fn push_ticket(&self, job: &Job) -> Result<(), JobsError> {
        let line = Line { kind: job.kind.clone(), priority: job.priority };
        // A flood of one app must not stand before the jobs of others: what it has beyond a few waits as
        // rows, and each of its jobs that ends calls in the next.
        let enough = TICKETS_OF_PARTY + 1;
        if store::unfinished_of(&self.db, job.party(), &job.kind, enough).await? >= enough {
            return Ok(());
        }
        if self.queue.waiting_count(&line).await? >= self.settings.outstanding {
            return Ok(());
        }
        self.queue.push(&line, vec![Ticket { job: job.id.clone(), since: job.created_at }]).await
    }

    pub async fn get(&self, id: &str) -> Result<Option<Job>, JobsError> {
        store::find(&self.db, id).await
    }

    /// At most `limit` jobs, newest first, from after `cursor` on. They lack their `position`.
    pub async fn list(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<JobPage, JobsError> {
        let mut items = store::page(&self.db, filter, cursor, limit.saturating_add(1)).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = if more { items.last().map(|job| job.id.clone()) } else { None };
        Ok(JobPage { items, next })
    }

    /// Cancels a job at once. A worker that runs it is told within a second or a quarter of a lease,
    /// and whatever it answers no longer counts.
    pub async fn cancel(&self, id: &str) -> Result<Cancel, JobsError> {
        let cancelled = store::cancel(&self.db, id, clock::now()).await?;
        let Some(job) = store::find(&self.db, id).await? else { return Ok(Cancel::NotFound) };
        if cancelled {
            instruments::finished(&job.kind, State::Cancelled);
        }
        match job.state {
            State::Cancelled => Ok(Cancel::Cancelled(job)),
            _ => Ok(Cancel::AlreadyFinished(job)),
        }
    }

    /// The job now and after every change, up to its final state. Ends at once for an unknown id. After
    /// an error it goes on, for whoever still asks.
    pub fn changes(&self, id: &str) -> impl Stream<Item = Result<Job, JobsError>> + Send + use<> {
        let (jobs, id) = (self.clone(), id.to_owned());
        futures::stream::unfold(None::<Job>, move |seen| {
            let (jobs, id) = (jobs.clone(), id.clone());
            async move {
                if seen.as_ref().is_some_and(|job| job.state.is_final()) {
                    return None;
                }
                loop {
                    match jobs.get(&id).await {
                        Err(error) => {
                            tokio::time::sleep(LOOK_EVERY).await;
                            return Some((Err(error), seen));
                        }
                        Ok(None) => return None,
                        Ok(now) if now == seen => tokio::time::sleep(LOOK_EVERY).await,
                        Ok(Some(job)) => return Some((Ok(job.clone()), Some(job))),
                    }
                }
            }
        })
    }

    /// What waits and runs; kinds and priorities without any are left out.
    pub async fn load(&self) -> Result<Vec<Load>, JobsError> {
        store::load(&self.db).await
    }

    /// Runs jobs of these kinds, and looks after those of every kind, until `shutdown`. Then no job is
    /// begun any more, running ones are told to stop, and those that leave off in time go back into the
    /// queue without having used up an attempt.
    pub async fn run_workers(
        &self,
        handlers: Vec<Arc<dyn Handler>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), JobsError> {
        let stop = CancellationToken::new();
        // Whoever drops this future wants an end as well.
        let _stop_when_dropped = stop.clone().drop_guard();
        let runner = Arc::new(self.runner(handlers, stop.clone())?);
        let running = TaskTracker::new();
        let mut tasks = JoinSet::new();
        for (kind, station) in &runner.stations {
            for priority in Priority::ALL {
                let line = Line { kind: kind.clone(), priority };
                let take = take_from(&line, runner.clone(), running.clone());
                // One more than can run waits at the door, so that it is known which one goes first.
                let (queue, at_once) = (self.queue.clone(), station.handler.concurrency().max(1) + 1);
                let stop = stop.clone();
                tasks.spawn(async move { queue.work(line, at_once, take, stop).await });
            }
        }
        tasks.spawn(self.sweeper(runner, running.clone()).run(stop.clone()));

        shutdown.await;
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        running.close();
        running.wait().await;
        Ok(())
    }

    fn runner(
        &self,
        handlers: Vec<Arc<dyn Handler>>,
        shutdown: CancellationToken,
    ) -> Result<Runner, JobsError> {
        let mut stations = HashMap::new();
        for handler in handlers {
            let kind = handler.kind().to_owned();
            let slots = Slots::new(handler.concurrency());
            if stations.insert(kind.clone(), Station { handler, slots }).is_some() {
                return Err(JobsError::TwoHandlers(kind));
            }
        }
        let (db, queue, settings) = (self.db.clone(), self.queue.clone(), self.settings.clone());
        Ok(Runner { db, queue, settings, stations, shutdown })
    }

    fn sweeper(&self, runner: Arc<Runner>, running: TaskTracker) -> Sweeper {
        Sweeper {
            db: self.db.clone(),
            queue: self.queue.clone(),
            settings: self.settings.clone(),
            runner,
            running,
            rescued: Arc::default(),
        }
    }

    /// Whether the queue answers. Without it jobs still run, only later: their rows bring them back.
    pub async fn ping_queue(&self) -> Result<(), JobsError> {
        self.queue.ping().await
    }

    /// Closes the queue's file; the database stays open for its owner.
    pub async fn close(&self) {
        self.queue.close().await;
    }
}

/// Runs each ticket in a task of its own: a queue worker that falls over takes no job with it.
fn take_from(line: &Line, runner: Arc<Runner>, running: TaskTracker) -> Take {
    let line = line.clone();
    Arc::new(move |id| {
        let (runner, line) = (runner.clone(), line.clone());
        let taken = running.spawn(async move { runner.take(&id, &line.kind, line.priority).await });
        Box::pin(async move {
            if let Err(error) = taken.await {
                tracing::error!(%error, "dealing with a ticket failed");
            }
        })
    })
}
