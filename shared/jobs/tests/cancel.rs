//! Cancelling: before, while, and after a job runs; and workers that come too late.

mod harness;

use harness::{Harness, endless, handler, quick};
use muster_jobs::{Cancel, State};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_queued_job_never_starts() {
    let harness = Harness::new().await;
    let job = harness.enqueue("quick", json!({})).await;
    let Cancel::Cancelled(cancelled) = harness.jobs.cancel(&job.id).await.unwrap() else {
        panic!("it was only queued")
    };
    assert_eq!((cancelled.state, cancelled.attempt), (State::Cancelled, 0));

    let workers = harness.work(vec![quick("quick")]);
    let after = harness.enqueue("quick", json!({})).await;
    harness.until(&after.id, State::Done).await;
    workers.stop().await;
    let cancelled = harness.jobs.get(&job.id).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.started_at), (State::Cancelled, None));
}

#[tokio::test]
async fn a_running_job_is_told_and_its_answer_dropped() {
    let harness = Harness::new().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let workers = harness.work(vec![handler("stubborn", 1, move |run| {
        let tell = tell.clone();
        async move {
            run.until_stopped().await;
            assert!(!run.still_mine().await.unwrap());
            tell.send(run.stopped()).unwrap();
            Ok(json!("finished all the same"))
        }
    })]);
    let job = harness.enqueue("stubborn", json!({})).await;
    harness.until(&job.id, State::Running).await;
    assert!(matches!(harness.jobs.cancel(&job.id).await.unwrap(), Cancel::Cancelled(_)));
    assert_eq!(told.recv().await, Some(true));
    workers.stop().await;
    let job = harness.jobs.get(&job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.result), (State::Cancelled, None));
}

#[tokio::test]
async fn what_has_ended_says_so() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![quick("quick")]);
    let job = harness.enqueue("quick", json!({})).await;
    harness.until(&job.id, State::Done).await;
    let answer = harness.jobs.cancel(&job.id).await.unwrap();
    assert!(matches!(answer, Cancel::AlreadyFinished(job) if job.state == State::Done));
    assert!(matches!(harness.jobs.cancel("job_unknown").await.unwrap(), Cancel::NotFound));
    workers.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_frees_its_place() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![endless("endless")]);
    let first = harness.enqueue("endless", json!({})).await;
    harness.until(&first.id, State::Running).await;
    let second = harness.enqueue("endless", json!({})).await;
    harness.jobs.cancel(&first.id).await.unwrap();
    harness.until(&second.id, State::Running).await;
    harness.jobs.cancel(&second.id).await.unwrap();
    workers.stop().await;
}

#[tokio::test]
async fn a_zombie_stops_and_overwrites_nothing() {
    let harness = Harness::new().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let workers = harness.work(vec![handler("slow", 1, move |run| {
        let tell = tell.clone();
        async move {
            run.until_stopped().await;
            tell.send(()).unwrap();
            Ok(json!("zombie"))
        }
    })]);
    let job = harness.enqueue("slow", json!({})).await;
    harness.until(&job.id, State::Running).await;
    harness
        .meddle(
            "UPDATE job SET claim = 'another worker', attempt = 2, lease_until = 9e15 WHERE id = ?",
            &job.id,
        )
        .await;
    told.recv().await.unwrap();
    workers.stop().await;
    let job = harness.jobs.get(&job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempt, job.result), (State::Running, 2, None));
}
