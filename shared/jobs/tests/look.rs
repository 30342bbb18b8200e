//! Looking at jobs: one, many, and one as it changes.

mod harness;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use harness::{Harness, endless, handler, new_job};
use muster_jobs::{Filter, Load, NewJob, Priority, State};
use serde_json::json;

#[tokio::test]
async fn the_shape_on_the_wire() {
    let harness = Harness::new().await;
    let id = harness.enqueue("import", json!({ "path": "/secret" })).await.id;
    let job = harness.jobs.get(&id).await.unwrap().unwrap();
    let created = job.created_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    let expected = json!({
        "id": id, "app_id": "shop", "owner": "local", "kind": "import", "priority": "interactive",
        "state": "queued", "progress": 0.0, "attempt": 0, "max_attempts": 3, "error": null, "result": null,
        "created_at": created, "started_at": null, "finished_at": null, "position": 0,
    });
    assert_eq!(serde_json::to_value(&job).unwrap(), expected);
    assert!(id.starts_with("job_") && id.len() == 30);
    assert!(harness.jobs.get("job_unknown").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_newest_first_in_pages_that_leave_nothing_out() {
    let harness = Harness::new().await;
    let mut made = Vec::new();
    for n in 0..7 {
        made.insert(0, harness.enqueue("import", json!({ "n": n })).await.id);
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = harness.jobs.list(&Filter::default(), cursor.as_deref(), 3).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|job| job.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn filters_keep_apps_apart() {
    let harness = Harness::new().await;
    for (app, kind) in
        [(Some("shop"), "import"), (Some("shop"), "segment"), (Some("news"), "import"), (None, "import")]
    {
        let app_id = app.map(str::to_owned);
        harness.jobs.enqueue(NewJob { app_id, ..new_job(kind, json!({})) }).await.unwrap();
    }
    let count = async |filter: Filter| harness.jobs.list(&filter, None, 100).await.unwrap().items.len();
    let apps = |apps: &[&str]| Some(apps.iter().map(|app| app.to_string()).collect::<BTreeSet<_>>());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(count(Filter::default()).await, 4);
    assert_eq!(count(Filter { apps: apps(&["shop"]), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { apps: apps(&["shop", "news"]), ..Filter::default() }).await, 3);
    assert_eq!(count(Filter { apps: apps(&[]), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { apps: apps(&["shop"]), app: text("news"), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { kind: text("import"), ..Filter::default() }).await, 3);
    assert_eq!(count(Filter { state: Some(State::Done), ..Filter::default() }).await, 0);
}

#[tokio::test]
async fn changes_lead_from_queued_to_the_end() {
    let harness = Harness::new().await;
    let job = harness.enqueue("endless", json!({})).await;
    let mut changes = Box::pin(harness.jobs.changes(&job.id));
    let first = changes.next().await.unwrap().unwrap();
    assert_eq!((first.state, first.position), (State::Queued, Some(0)));

    let workers = harness.work(vec![endless("endless")]);
    let mut seen = changes.next().await.unwrap().unwrap();
    while seen.progress == 0.0 {
        assert_eq!(seen.state, State::Running);
        seen = changes.next().await.unwrap().unwrap();
    }
    assert_eq!(seen.progress, 0.25);
    harness.jobs.cancel(&job.id).await.unwrap();
    assert_eq!(changes.next().await.unwrap().unwrap().state, State::Cancelled);
    assert!(changes.next().await.is_none());
    assert!(Box::pin(harness.jobs.changes("job_unknown")).next().await.is_none());
    workers.stop().await;
}

#[tokio::test]
async fn interactive_jobs_overtake_routine_ones_and_equals_keep_their_order() {
    let harness = Harness::new().await;
    let (routine, interactive) = (Priority::Routine, Priority::Interactive);
    let mut made = Vec::new();
    for priority in [routine, routine, routine, interactive, interactive] {
        made.push(harness.jobs.enqueue(NewJob { priority, ..new_job("task", json!({})) }).await.unwrap().id);
    }
    let load = harness.jobs.load().await.unwrap();
    let of = |priority, queued| Load { kind: "task".to_owned(), priority, queued, running: 0 };
    assert_eq!(load, [of(interactive, 2), of(routine, 3)]);
    let place = harness.jobs.get(&made[0]).await.unwrap().unwrap().position;
    assert_eq!(place, Some(2), "two interactive ones go first");

    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let noting = order.clone();
    let workers = harness.work(vec![handler("task", 1, move |run| {
        let first = {
            let mut order = noting.lock().unwrap();
            order.push(run.job.id.clone());
            order.len() == 1
        };
        async move {
            // Time for both lines to bring their next ticket to the door.
            tokio::time::sleep(Duration::from_millis(if first { 1500 } else { 500 })).await;
            Ok(json!(null))
        }
    })]);
    for id in &made {
        harness.until(id, State::Done).await;
    }
    workers.stop().await;
    let order: Vec<usize> =
        order.lock().unwrap().iter().map(|id| made.iter().position(|known| known == id).unwrap()).collect();
    // The very first place goes to whichever line was quicker.
    assert!(order == [3, 4, 0, 1, 2] || order == [0, 3, 4, 1, 2], "{order:?}");
}

/// One that has begun may have looked already, one of another app looks elsewhere, and whoever waits for a
/// job need not wait behind routine.
#[tokio::test]
async fn a_job_that_waits_is_enough() {
    let harness = Harness::new().await;
    let new = |app: &str, kind, priority| NewJob {
        app_id: Some(app.to_owned()),
        priority,
        ..new_job(kind, json!({}))
    };
    let ask = async |app: &str, kind, priority| {
        harness.jobs.enqueue_unless_waiting(new(app, kind, priority)).await.unwrap().id
    };
    let first = ask("shop", "metrics", Priority::Routine).await;
    assert_eq!(ask("shop", "metrics", Priority::Routine).await, first);
    assert_ne!(ask("other", "metrics", Priority::Routine).await, first);
    assert_ne!(ask("shop", "import", Priority::Routine).await, first);
    let sooner = ask("shop", "metrics", Priority::Interactive).await;
    assert_ne!(sooner, first);
    for priority in Priority::ALL {
        assert_eq!(ask("shop", "metrics", priority).await, sooner);
    }
    // Of another kind, so that nothing else takes the workers.
    let begun = ask("shop", "endless", Priority::Routine).await;
    let workers = harness.work(vec![endless("endless")]);
    harness.until(&begun, State::Running).await;
    assert_ne!(ask("shop", "endless", Priority::Routine).await, begun);
    workers.stop().await;
}
