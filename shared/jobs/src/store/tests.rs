//! The guards of the `job` table, on a real file and with a clock of our own.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use muster_sql::Db;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{Failure, Job, Priority, State};

const LEASE: Duration = Duration::from_secs(10);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

async fn open() -> (TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    (folder, db)
}

async fn queued(db: &Db, id: &str) {
    let job = Job {
        id: id.to_owned(),
        app_id: Some("shop".to_owned()),
        owner: "local".to_owned(),
        kind: "count".to_owned(),
        priority: Priority::Interactive,
        state: State::Queued,
        progress: 0.0,
        attempt: 0,
        max_attempts: 2,
        payload: json!({"n": 1}),
        error: None,
        result: None,
        trace: None,
        created_at: at(0),
        started_at: None,
        finished_at: None,
        position: None,
    };
    insert(db, &job).await.unwrap();
}

async fn take(db: &Db, name: &str, second: i64) -> Option<Job> {
    claim(db, "job_a", name, at(second), LEASE).await.unwrap()
}

async fn row(db: &Db) -> Job {
    find(db, "job_a").await.unwrap().unwrap()
}

#[tokio::test]
async fn of_fifty_claims_one_succeeds() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    let claims: Vec<_> = (0..50)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move { take(&db, &format!("worker {n}"), 1).await })
        })
        .collect();
    let mut taken = Vec::new();
    for claim in claims {
        taken.extend(claim.await.unwrap());
    }
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].state, taken[0].attempt), (State::Running, 1));
    assert_eq!(taken[0].started_at, Some(at(1)));
    assert_eq!(taken[0].payload, json!({"n": 1}));
}

#[tokio::test]
async fn a_zombie_neither_renews_nor_ends_what_another_worker_has() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    take(&db, "first", 0).await.unwrap();
    assert!(take(&db, "second", 9).await.is_none(), "the lease of the first still holds");
    let second = take(&db, "second", 10).await.unwrap();
    assert_eq!(second.attempt, 2);
    assert_eq!(second.error.unwrap().code, "worker_lost");

    assert!(!renew(&db, "job_a", "first", 0.9, at(99)).await.unwrap());
    for late in [
        Ending::Done(json!("zombie")),
        Ending::Failed(Failure::new("zombie", "late")),
        Ending::Again(Failure::passing("zombie", "late"), at(11)),
    ] {
        assert!(!finish(&db, "job_a", "first", &late, at(11)).await.unwrap());
    }
    assert!(!hand_back(&db, "job_a", "first").await.unwrap());

    assert!(renew(&db, "job_a", "second", 0.5, at(30)).await.unwrap());
    assert_eq!((row(&db).await.state, row(&db).await.progress), (State::Running, 0.5));
    assert!(finish(&db, "job_a", "second", &Ending::Done(json!(7)), at(12)).await.unwrap());
    let done = row(&db).await;
    assert_eq!((done.state, done.progress, done.result), (State::Done, 1.0, Some(json!(7))));
    assert_eq!((done.error, done.finished_at), (None, Some(at(12))));
    assert!(!finish(&db, "job_a", "second", &Ending::Done(json!(8)), at(13)).await.unwrap(), "only once");
}

#[tokio::test]
async fn cancelled_stays_cancelled() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    take(&db, "first", 0).await.unwrap();
    assert!(cancel(&db, "job_a", at(1)).await.unwrap());
    assert!(!cancel(&db, "job_a", at(2)).await.unwrap());
    assert!(!renew(&db, "job_a", "first", 0.9, at(99)).await.unwrap());
    assert!(!finish(&db, "job_a", "first", &Ending::Done(json!(1)), at(2)).await.unwrap());
    assert!(take(&db, "second", 100).await.is_none());
    assert_eq!((row(&db).await.state, row(&db).await.finished_at), (State::Cancelled, Some(at(1))));
}

#[tokio::test]
async fn a_retry_waits_for_its_time() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    take(&db, "first", 0).await.unwrap();
    let again = Ending::Again(Failure::passing("busy", "later"), at(60));
    assert!(finish(&db, "job_a", "first", &again, at(1)).await.unwrap());
    assert_eq!((row(&db).await.state, row(&db).await.error.unwrap().code), (State::Queued, "busy".into()));

    let due_at =
        async |second| due(&db, "count", Priority::Interactive, at(second), (9, 9)).await.unwrap().len();
    assert_eq!((due_at(59).await, due_at(60).await), (0, 1));
    assert_eq!(party_of_due(&db, "job_a", at(59)).await.unwrap(), None);
    assert_eq!(party_of_due(&db, "job_a", at(60)).await.unwrap().as_deref(), Some("shop"));
    assert!(take(&db, "second", 59).await.is_none());
    assert_eq!(take(&db, "second", 60).await.unwrap().error.unwrap().code, "busy");
}

#[tokio::test]
async fn what_was_handed_back_has_used_no_attempt() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    take(&db, "first", 0).await.unwrap();
    assert!(hand_back(&db, "job_a", "first").await.unwrap());
    assert_eq!((row(&db).await.state, row(&db).await.attempt), (State::Queued, 0));
    assert_eq!(take(&db, "second", 0).await.unwrap().attempt, 1);
}

#[tokio::test]
async fn the_last_attempt_is_buried_and_not_taken_again() {
    let (_folder, db) = open().await;
    queued(&db, "job_a").await;
    take(&db, "first", 0).await.unwrap();
    assert!(lost(&db, at(20)).await.unwrap().is_empty(), "one attempt is left");
    take(&db, "second", 20).await.unwrap();
    assert!(lost(&db, at(29)).await.unwrap().is_empty(), "the lease holds");
    assert!(take(&db, "third", 30).await.is_none(), "two attempts are allowed");

    let late = at(30) + TimeDelta::seconds(1);
    let given_up = lost(&db, late).await.unwrap();
    assert_eq!(given_up.len(), 1);
    let cause = Failure::exhausted(2, LEASE, given_up[0].error.as_ref());
    assert!(bury(&db, &given_up[0], &cause, late).await.unwrap());
    let failed = row(&db).await;
    assert_eq!(failed.state, State::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error.code, "attempts_exhausted");
    assert_eq!(error.extra.unwrap()["last_error"]["code"], "worker_lost");
}

#[tokio::test]
async fn the_place_in_the_queue_counts_what_goes_first() {
    let (_folder, db) = open().await;
    for id in ["job_a", "job_b", "job_c"] {
        queued(&db, id).await;
    }
    let position = async |id| find(&db, id).await.unwrap().unwrap().position;
    assert_eq!(position("job_c").await, Some(2));
    let routine = "UPDATE job SET priority = 1 WHERE id = 'job_a'";
    muster_sql::on!(&db, pool => sqlx::query(routine).execute(pool).await.map(drop).unwrap());
    assert_eq!((position("job_c").await, position("job_a").await), (Some(1), Some(2)));
    claim(&db, "job_b", "w", at(0), LEASE).await.unwrap();
    assert_eq!((position("job_c").await, position("job_b").await), (Some(0), None));
}
