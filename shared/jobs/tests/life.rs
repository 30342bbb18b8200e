//! Jobs that run to their end: done, failed, tried again, panicked.

mod harness;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Harness, handler, new_job, quick};
use muster_jobs::{Failure, JobsError, NewJob, Priority, State};
use serde_json::json;

#[tokio::test]
async fn two_hundred_jobs_run_once_each() {
    let harness = Harness::new().await;
    let runs: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let kinds = ["red", "green", "blue"];
    let counting = |kind| {
        let runs = runs.clone();
        handler(kind, 3, move |run| {
            *runs.lock().unwrap().entry(run.job.id.clone()).or_default() += 1;
            async move { Ok(json!({ "doubled": run.job.payload["n"].as_u64().unwrap() * 2 })) }
        })
    };
    let workers = harness.work(kinds.map(counting).into());
    let mut made = Vec::new();
    for n in 0..200 {
        made.push((n, harness.enqueue(kinds[n % 3], json!({ "n": n })).await.id));
    }
    for (n, id) in &made {
        let job = harness.until(id, State::Done).await;
        assert_eq!(job.result, Some(json!({ "doubled": n * 2 })));
        assert_eq!((job.attempt, job.progress, job.error), (1, 1.0, None));
        assert!(job.created_at <= job.started_at.unwrap() && job.started_at <= job.finished_at);
    }
    workers.stop().await;
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), 200);
    assert!(runs.values().all(|&n| n == 1), "{runs:?}");
}

#[tokio::test]
async fn a_kind_never_runs_more_at_once_than_it_says() {
    let harness = Harness::new().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now_in, most_in) = (now.clone(), most.clone());
    let workers = harness.work(vec![handler("slow", 2, move |_| {
        let (now, most) = (now_in.clone(), most_in.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(json!(null))
        }
    })]);
    let mut made = Vec::new();
    for n in 0..20 {
        let priority = Priority::ALL[n % 2];
        made.push(harness.jobs.enqueue(NewJob { priority, ..new_job("slow", json!({})) }).await.unwrap());
    }
    for job in made {
        harness.until(&job.id, State::Done).await;
    }
    workers.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_passing_failure_is_tried_again() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![handler("flaky", 1, |run| async move {
        match run.job.attempt {
            3 => Ok(json!("third time lucky")),
            n => Err(Failure::passing("busy", format!("attempt {n}"))),
        }
    })]);
    let job = harness.enqueue("flaky", json!({})).await;
    let job = harness.until(&job.id, State::Done).await;
    assert_eq!((job.attempt, job.error), (3, None));
    assert_eq!(job.result, Some(json!("third time lucky")));
    workers.stop().await;
}

#[tokio::test]
async fn the_last_failure_is_the_cause() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![
        handler("flaky", 1, |run| async move {
            let failure = Failure::passing("busy", format!("attempt {}", run.job.attempt));
            Err(failure.with_extra(json!({ "queue": 9 })))
        }),
        handler("wrong", 1, |_| async { Err(Failure::new("bad_file", "line 3")) }),
    ]);
    let flaky = harness.enqueue("flaky", json!({})).await;
    let wrong = harness.enqueue("wrong", json!({})).await;

    let flaky = harness.until(&flaky.id, State::Failed).await;
    let error = flaky.error.unwrap();
    assert_eq!((flaky.attempt, error.code.as_str(), error.detail.as_str()), (3, "busy", "attempt 3"));
    assert_eq!(error.extra, Some(json!({ "queue": 9 })));

    let wrong = harness.until(&wrong.id, State::Failed).await;
    assert_eq!((wrong.attempt, wrong.error.unwrap().code.as_str()), (1, "bad_file"));
    assert!(wrong.finished_at.is_some());
    workers.stop().await;
}

#[tokio::test]
async fn a_panic_fails_its_own_job_only_and_tells_nothing() {
    let harness = Harness::new().await;
    let workers = harness.work(vec![handler("touchy", 1, |run| async move {
        assert!(run.job.payload["calm"] == true, "the secret is 1234");
        Ok(json!("calm"))
    })]);
    let touched = harness.enqueue("touchy", json!({ "calm": false })).await;
    let calm = harness.enqueue("touchy", json!({ "calm": true })).await;
    let touched = harness.until(&touched.id, State::Failed).await;
    assert_eq!(touched.error.as_ref().unwrap().code, "internal");
    assert!(!serde_json::to_string(&touched).unwrap().contains("1234"));
    harness.until(&calm.id, State::Done).await;
    workers.stop().await;
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let harness = Harness::new().await;
    let named = || NewJob { id: Some("job_mine".to_owned()), ..new_job("quick", json!({})) };
    assert_eq!(harness.jobs.enqueue(named()).await.unwrap().id, "job_mine");
    assert!(matches!(harness.jobs.enqueue(named()).await, Err(JobsError::Exists(id)) if id == "job_mine"));
    let workers = harness.work(vec![quick("quick")]);
    harness.until("job_mine", State::Done).await;
    workers.stop().await;
}

#[tokio::test]
async fn one_kind_has_one_handler() {
    let harness = Harness::new().await;
    let twice = harness.jobs.run_workers(vec![quick("quick"), quick("quick")], std::future::pending()).await;
    assert!(matches!(twice, Err(JobsError::TwoHandlers(kind)) if kind == "quick"));
}
