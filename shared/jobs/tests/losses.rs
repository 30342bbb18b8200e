//! What is lost on the way: tickets, the queue's file, workers, whole processes.

mod harness;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Harness, endless, handler, open, quick, settings, short_lease, until};
use muster_jobs::{Failure, Settings, State};
use muster_real_servers::split;
use muster_sql::on;
use serde_json::json;

/// Set for the processes that these tests start to be killed: the folder to work in.
const FOLDER: &str = "MUSTER_JOBS_TEST_FOLDER";

#[tokio::test]
async fn a_row_without_a_ticket_runs() {
    let harness = Harness::new().await;
    let insert =
        "INSERT INTO job (id, owner, party, kind, priority, payload, state, max_attempts, not_before,
                          created_at)
         VALUES ('job_lost', 'local', 'local', 'quick', 1, '{}', 'queued', 3, 0, 0)";
    on!(&harness.db, pool => sqlx::query(insert).execute(pool).await.map(drop).unwrap());
    let workers = harness.work(vec![quick("quick")]);
    harness.until("job_lost", State::Done).await;
    workers.stop().await;
}

#[tokio::test]
async fn more_rows_than_tickets_may_wait_all_run() {
    let harness = Harness::with(Settings { outstanding: 5, ..settings() }).await;
    let mut made = Vec::new();
    for n in 0..40 {
        made.push(harness.enqueue("quick", json!({ "n": n })).await.id);
    }
    let workers = harness.work(vec![quick("quick")]);
    for id in made {
        assert_eq!(harness.until(&id, State::Done).await.attempt, 1);
    }
    workers.stop().await;
}

#[tokio::test]
async fn the_queues_file_may_vanish_while_the_process_is_down() {
    let harness = Harness::new().await;
    let mut made = Vec::new();
    for n in 0..10 {
        made.push(harness.enqueue("quick", json!({ "n": n })).await.id);
    }
    harness.jobs.close().await;
    harness.db.close().await;
    if split() {
        return; // `redis.rs` loses a Redis.
    }
    for file in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        std::fs::remove_file(harness.folder.path().join(file)).ok();
    }
    assert!(!harness.folder.path().join("queue.db").exists());

    let (db, jobs) = open(harness.folder.path(), settings()).await;
    let harness = Harness { db, jobs, ..harness };
    let workers = harness.work(vec![quick("quick")]);
    for id in made {
        harness.until(&id, State::Done).await;
    }
    workers.stop().await;
}

#[tokio::test]
async fn a_shutdown_hands_back_without_counting() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![endless("task")]);
    let running = harness.enqueue("task", json!({})).await;
    let waiting = harness.enqueue("task", json!({})).await;
    harness.until(&running.id, State::Running).await;
    workers.stop().await;
    let back = harness.jobs.get(&running.id).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempt, back.error), (State::Queued, 0, None));

    let workers = harness.work(vec![quick("task")]);
    for id in [running.id, waiting.id] {
        let job = harness.until(&id, State::Done).await;
        assert_eq!(job.result, Some(json!({ "attempt": 1 })));
    }
    workers.stop().await;
}

#[tokio::test]
async fn a_job_that_does_not_stop_in_time_stays_with_its_lease() {
    let grace = Duration::from_millis(100);
    let harness = Harness::with(Settings { grace, ..short_lease() }).await;
    let workers = harness.work(vec![handler("deaf", 1, |_| std::future::pending())]);
    let job = harness.enqueue("deaf", json!({})).await;
    harness.until(&job.id, State::Running).await;
    workers.stop().await;
    assert_eq!(harness.jobs.get(&job.id).await.unwrap().unwrap().state, State::Running);

    let workers = harness.work(vec![quick("deaf")]);
    assert_eq!(harness.until(&job.id, State::Done).await.attempt, 2);
    workers.stop().await;
}

#[tokio::test]
async fn a_job_that_outlives_many_leases_runs_once() {
    let lease = Duration::from_secs(1);
    let harness = Harness::with(Settings { lease, ..settings() }).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let workers = harness.work(vec![handler("long", 1, move |run| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            for n in 1..=10 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                run.progress(f64::from(n) / 10.0);
            }
            if run.stopped() { Err(Failure::stopped()) } else { Ok(json!("slow and steady")) }
        }
    })]);
    let job = harness.enqueue("long", json!({})).await;
    assert_eq!(harness.until(&job.id, State::Done).await.attempt, 1);
    workers.stop().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_job_whose_workers_all_died_is_given_up_with_a_cause() {
    let harness = Harness::new().await;
    let job = harness.enqueue("deadly", json!({})).await;
    let silent = "UPDATE job SET state = 'running', claim = 'dead', attempt = max_attempts, lease_until = 1,
                                 error = '{\"code\":\"worker_lost\",\"detail\":\"before\"}' WHERE id = ?";
    harness.meddle(silent, &job.id).await;
    let workers = harness.work(vec![quick("deadly")]);
    let job = harness.until(&job.id, State::Failed).await;
    let error = job.error.unwrap();
    assert_eq!(error.code, "attempts_exhausted");
    assert_eq!(error.extra.unwrap()["last_error"]["detail"], "before");
    workers.stop().await;
}

/// Not a test of its own: what the killed processes run. Hangs on the first attempt; on later ones
/// writes a line to `finished` and is done.
#[tokio::test]
async fn process_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
    let (_db, jobs) = open(&folder, short_lease()).await;
    let worker = handler("slow", 1, move |run| {
        let finished = folder.join("finished");
        async move {
            if run.job.attempt == 1 {
                std::future::pending::<()>().await;
            }
            let mut lines = std::fs::read_to_string(&finished).unwrap_or_default();
            lines.push_str(&format!("attempt {}\n", run.job.attempt));
            std::fs::write(&finished, lines).unwrap();
            Ok(json!({ "attempt": run.job.attempt }))
        }
    });
    jobs.run_workers(vec![worker], std::future::pending()).await.unwrap();
}

struct Process(Child);

impl Process {
    fn start(folder: &std::path::Path) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_to_be_killed"])
            .env(FOLDER, folder)
            .envs(muster_real_servers::environment())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process(child)
    }

    fn kill_9(mut self) {
        self.0.kill().unwrap();
        let status = self.0.wait().unwrap();
        assert!(!status.success(), "it was still running");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_its_job_to_the_next() {
    let harness = Harness::new().await;
    let job = harness.enqueue("slow", json!({})).await;
    let first = Process::start(harness.folder.path());
    until(&harness.jobs, &job.id, State::Running).await;
    first.kill_9();
    let orphan = harness.jobs.get(&job.id).await.unwrap().unwrap();
    assert_eq!((orphan.state, orphan.attempt), (State::Running, 1));

    let second = Process::start(harness.folder.path());
    let done = until(&harness.jobs, &job.id, State::Done).await;
    assert_eq!((done.attempt, done.result), (2, Some(json!({ "attempt": 2 }))));
    // Time for a stray ticket to do harm, if there were any.
    tokio::time::sleep(short_lease().lease).await;
    drop(second);
    let finished = std::fs::read_to_string(harness.folder.path().join("finished")).unwrap();
    assert_eq!(finished, "attempt 2\n");
}

/// The queue's workers have been seen to fall silent for good, with the ticket lying there.
#[tokio::test]
async fn a_job_whose_ticket_is_never_handed_out_runs_all_the_same() {
    if split() {
        return; // Meddles with the queue's file.
    }
    let harness = Harness::new().await;
    let made = harness.enqueue("quick", json!({})).await;
    let queue = open_queue(&harness).await;
    let far = sqlx::query("UPDATE Jobs SET run_at = 32503680000").execute(&queue).await.unwrap();
    assert_eq!(far.rows_affected(), 1, "the ticket waits, for ever");
    let workers = harness.work(vec![quick("quick")]);
    let done = harness.until(&made.id, State::Done).await;
    assert_eq!(done.attempt, 1);
    workers.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_locked_again_and_again_stops_no_job() {
    if split() {
        return; // Meddles with the queue's file.
    }
    let harness = Harness::new().await;
    let workers = harness.work(vec![quick("quick")]);
    let queue = open_queue(&harness).await;
    for n in 0..8_u64 {
        let lock = queue.begin_with("BEGIN IMMEDIATE").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300 + n * 137 % 900)).await;
        lock.rollback().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50 + n * 71 % 400)).await;
    }
    let made = harness.enqueue("quick", json!({})).await;
    harness.until(&made.id, State::Done).await;
    workers.stop().await;
}

async fn open_queue(harness: &Harness) -> sqlx::SqlitePool {
    let file = harness.folder.path().join("queue.db");
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}
