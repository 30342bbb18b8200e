//! Workers are shared: the flood of one app leaves the others their part, and uses all of it when nobody
//! else waits.

mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Harness, handler, new_job, settings};
use muster_jobs::{NewJob, Settings, State};
use serde_json::json;

fn of(app: &str) -> NewJob {
    NewJob { app_id: Some(app.to_owned()), ..new_job("work", json!({})) }
}

/// Jobs in the order they ended, by app; each takes a moment.
fn recorder(order: Arc<Mutex<Vec<String>>>, at_once: usize) -> Arc<dyn muster_jobs::Handler> {
    handler("work", at_once, move |run| {
        let order = order.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            order.lock().unwrap().push(run.job.app_id.clone().unwrap());
            Ok(json!({}))
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_leaves_the_others_their_share() {
    let harness = Harness::new().await;
    let mut jobs = Vec::new();
    for _ in 0..300 {
        jobs.push(harness.jobs.enqueue(of("flood")).await.unwrap().id);
    }
    let mut small = Vec::new();
    for app in ["one", "two", "one", "two"] {
        let job = harness.jobs.enqueue(of(app)).await.unwrap();
        let ahead = harness.jobs.get(&job.id).await.unwrap().unwrap().position.unwrap();
        assert!(ahead < 10, "{ahead} jobs go before one that has its turn");
        small.push(job.id);
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let workers = harness.work(vec![recorder(order.clone(), 3)]);
    for id in &small {
        harness.until(id, State::Done).await;
    }
    // As they ended, not as this thread came to see it.
    let ended = order.lock().unwrap().clone();
    let last = ended.iter().rposition(|app| app != "flood").unwrap();
    let before = ended[..last].iter().filter(|app| *app == "flood").count();
    assert!(before < 40, "{before} jobs of the flood ended before four of the others");
    for id in &jobs {
        assert_eq!(harness.until(id, State::Done).await.attempt, 1);
    }
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_an_app_uses_every_place() {
    let harness = Harness::with(Settings { share: 1, ..settings() }).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (now.clone(), most.clone());
    let workers = harness.work(vec![handler("work", 4, move |_| {
        let (running, peak) = (running.clone(), peak.clone());
        async move {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(json!({}))
        }
    })]);
    let mut jobs = Vec::new();
    for _ in 0..60 {
        jobs.push(harness.jobs.enqueue(of("alone")).await.unwrap().id);
    }
    for id in &jobs {
        harness.until(id, State::Done).await;
    }
    workers.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 4);
}
