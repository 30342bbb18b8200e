//! The queue on a Redis of its own, which dies, comes back empty, and is flooded.

mod harness;

use std::time::Duration;

use harness::{Harness, handler, quick, settings};
use muster_jobs::{Jobs, QueueAt, State};
use muster_real_servers::Redis;
use serde_json::json;

async fn harness_on(redis: &Redis) -> Harness {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    let queue = QueueAt::redis(&redis.url(), "test").unwrap();
    let jobs = Jobs::new(db.clone(), &queue, settings()).await.unwrap();
    Harness { folder, db, jobs }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_loses_no_job() {
    let mut redis = Redis::start();
    let harness = harness_on(&redis).await;
    let mut made = Vec::new();
    for n in 0..40 {
        made.push(harness.enqueue("quick", json!({ "n": n })).await.id);
    }
    redis.restart();
    let workers = harness.work(vec![quick("quick")]);
    for id in &made {
        assert_eq!(harness.until(id, State::Done).await.attempt, 1);
    }
    redis.kill();
    assert!(harness.jobs.ping_queue().await.is_err());
    // Accepted without Redis, and run without it.
    let without = harness.enqueue("quick", json!({})).await;
    harness.until(&without.id, State::Done).await;
    redis.restart();
    for n in 0..40 {
        made.push(harness.enqueue("quick", json!({ "n": n })).await.id);
    }
    for id in &made {
        assert_eq!(harness.until(id, State::Done).await.attempt, 1, "each ran once");
    }
    harness.jobs.ping_queue().await.unwrap();
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_tickets_soon_after_redis_is_back() {
    let mut redis = Redis::start();
    let harness = harness_on(&redis).await;
    let workers = harness.work(vec![handler("quick", 4, |_| async { Ok(json!(1)) })]);
    for round in 0..3 {
        redis.restart();
        let mut made = Vec::new();
        for n in 0..20 {
            made.push(harness.enqueue("quick", json!({ "n": n })).await.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for id in made {
            assert_eq!(harness.until(&id, State::Done).await.attempt, 1, "round {round}");
        }
    }
    workers.stop().await;
}
