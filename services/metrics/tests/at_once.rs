//! Two processes that work the same app out at the same time, while it is published anew: the tables are
//! right in the end, and at no moment does a reader see half of a label's day.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Service as _;
use actix_web::{App, HttpMessage, test};
use muster_days::Ds;
use muster_http::Caller;
use muster_jobs::{Jobs, NewJob, Priority, QueueAt, State};
use muster_metrics::{METRICS, Metrics, Settings};
use muster_profile_store::{EventShape, Store};
use muster_sql::{Db, on};
use serde_json::json;
use tokio::sync::watch;

const USERS: u32 = 300;
const LABELS: i64 = 3;

fn days() -> impl Iterator<Item = Ds> {
    Ds::from_number(20261101).unwrap().through(Ds::from_number(20261105).unwrap())
}

/// Everybody but the first `version` users carries tag `version` of each label, one of seven more, and comes.
fn publish(store: &Store, version: u32) {
    let mut publication = store.publish("a").unwrap();
    let users: Vec<(u32, String)> = (version..USERS).map(|user| (user, format!("u{user}"))).collect();
    for ds in days() {
        for label in 1..=LABELS {
            publication.start_label(label, &format!("label {label}"), ds).unwrap();
            for (user, id) in &users {
                publication.label_row(id.as_bytes(), i64::from(version) + 100, "version", None).unwrap();
                publication.label_row(id.as_bytes(), i64::from(user % 7), "seventh", None).unwrap();
            }
            publication.finish_part(0).unwrap();
        }
        let shape = EventShape { event: "visit", ds, dimensions: &[], measures: &[] };
        publication.start_event(&shape).unwrap();
        for (_, id) in users.iter().filter(|(user, _)| (user + ds.number()) % 3 == 0) {
            publication.event_row(id.as_bytes(), 1, &[], &[]).unwrap();
        }
        publication.finish_part(0).unwrap();
    }
    publication.commit(0).unwrap();
}

/// A process of its own, as far as its store, its queue and its connections go.
async fn process(folder: &Path) -> (Jobs, Metrics) {
    let db = muster_real_servers::database(folder).await;
    let queue = match muster_real_servers::redis(folder) {
        Some((url, prefix)) => QueueAt::redis(&url, &prefix).unwrap(),
        None => QueueAt::File(folder.join("queue.db")),
    };
    let settings = muster_jobs::Settings {
        poll_every: Duration::from_millis(20),
        sweep_every: Duration::from_millis(100),
        ..muster_jobs::Settings::default()
    };
    let jobs = Jobs::new(db.clone(), &queue, settings).await.unwrap();
    let store = Arc::new(Store::open(&folder.join("store")).unwrap());
    let settings = Settings {
        recent_days: 30,
        start_disabled: false,
        kept_days: 0,
        dimension_values: 1000,
        concurrency: 1,
    };
    (jobs.clone(), Metrics::new(db, jobs, store, settings))
}

async fn enqueue(jobs: &Jobs) -> String {
    let job = NewJob {
        id: None,
        app_id: Some("a".into()),
        owner: "test".into(),
        kind: METRICS,
        payload: json!({}),
        priority: Priority::Routine,
    };
    jobs.enqueue(job).await.unwrap().id
}

async fn done(jobs: &Jobs, id: &str) {
    loop {
        let job = jobs.get(id).await.unwrap().unwrap();
        if job.state.is_final() {
            assert_eq!(job.state, State::Done, "{job:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

type Line = (i64, String, u32, i64, i64, Option<i64>, Option<i64>);

async fn lines(db: &Db) -> Vec<Line> {
    let query = "SELECT l.label_id, l.crowd, l.ds, l.crowd_users, l.carrying, c.tag_id, c.users
         FROM metric_label l LEFT JOIN metric_cell c
           ON c.app_id = l.app_id AND c.label_id = l.label_id AND c.crowd = l.crowd AND c.ds = l.ds
         WHERE l.app_id = 'a' ORDER BY l.label_id, l.crowd, l.ds, c.tag_id";
    on!(db, pool => sqlx::query_as(query).fetch_all(pool).await.unwrap())
}

/// Asserts that each line and its cells are of one version; answers the versions of the days.
fn versions(lines: &[Line]) -> BTreeMap<(i64, String, u32), i64> {
    let mut versions = BTreeMap::new();
    for of in lines.chunk_by(|a, b| (a.0, &a.1, a.2) == (b.0, &b.1, b.2)) {
        let (label, crowd, ds, size, carrying, ..) = &of[0];
        let cells: Vec<(i64, i64)> = of.iter().filter_map(|line| line.5.zip(line.6)).collect();
        let seventh: i64 = cells.iter().filter(|(tag, _)| *tag < 100).map(|(_, users)| users).sum();
        let version: Vec<_> = cells.iter().filter(|(tag, _)| *tag >= 100).collect();
        let why = format!("{label} {crowd} {ds}: {of:?}");
        assert_eq!(seventh, *carrying, "{why}");
        if *carrying == 0 {
            continue;
        }
        assert_eq!(version.len(), 1, "{why}");
        assert_eq!(version[0].1, *carrying, "{why}");
        let version = version[0].0 - 100;
        match &**crowd {
            "all" => assert_eq!((*carrying, *size >= *carrying), (i64::from(USERS) - version, true), "{why}"),
            // Label and event days come in one publication.
            _ => assert_eq!(carrying, size, "{why}"),
        }
        versions.insert((*label, crowd.clone(), *ds), version);
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_right_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (process(folder.path()).await, process(folder.path()).await);
    let (stop, stopped) = watch::channel(false);
    let mut workers = Vec::new();
    for (jobs, metrics) in [&first, &second] {
        let (jobs, handlers, mut stopped) =
            (jobs.clone(), muster_metrics::handlers(metrics.clone()), stopped.clone());
        workers.push(tokio::spawn(async move {
            let shutdown = async move { _ = stopped.wait_for(|stop| *stop).await };
            jobs.run_workers(handlers, shutdown).await.unwrap();
        }));
    }
    let publisher = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let mut ids = Vec::new();
    for version in 1..=8 {
        let store = publisher.clone();
        tokio::task::spawn_blocking(move || publish(&store, version)).await.unwrap();
        ids.extend([enqueue(&first.0).await, enqueue(&second.0).await]);
        for _ in 0..3 {
            versions(&lines(&first.1.db).await);
        }
        // Every other publication meets the jobs of the one before.
        if version % 2 == 0 {
            for id in &ids {
                done(&first.0, id).await;
            }
            let versions = versions(&lines(&first.1.db).await);
            assert!(versions.values().all(|found| *found == i64::from(version)), "{version}: {versions:?}");
            // Of the whole app, and of the active crowds from the day on that anybody came.
            assert_eq!(versions.len(), (LABELS * 5 * 5) as usize, "{versions:?}");
        }
    }
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// A look-up by whoever may do anything: what one process answers.
async fn look(metrics: &Metrics) -> serde_json::Value {
    let service = muster_metrics::service(metrics.clone());
    let app = test::init_service(
        App::new().configure(|config| muster_http::mount(config, std::slice::from_ref(&service), |_| {})),
    )
    .await;
    let request = test::TestRequest::get().uri("/v1/apps/a/insights/labels/1?top=1").to_request();
    request.extensions_mut().insert(Caller::local());
    let answer = app.call(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    test::read_body_json(answer).await
}

/// One process answers from memory what another one has replaced a moment ago, for a second at most; what
/// its own jobs have replaced it never does.
#[actix_web::test]
async fn what_is_kept_in_memory_is_given_up_when_rows_change() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (process(folder.path()).await, process(folder.path()).await);
    let (stop, stopped) = watch::channel(false);
    let (jobs, handlers) = (first.0.clone(), muster_metrics::handlers(first.1.clone()));
    let worker = tokio::spawn(async move {
        let mut stopped = stopped;
        let shutdown = async move { _ = stopped.wait_for(|stop| *stop).await };
        jobs.run_workers(handlers, shutdown).await.unwrap();
    });
    for version in 1..=3 {
        let store = first.1.profiles.clone();
        tokio::task::spawn_blocking(move || publish(&store, version)).await.unwrap();
        if version > 1 {
            // Of the data as published now, but of the rows as they were: kept until these change.
            for (_, metrics) in [&first, &second] {
                assert_eq!(look(metrics).await["carrying"], USERS - version + 1);
            }
        }
        let id = enqueue(&first.0).await;
        done(&first.0, &id).await;
        assert_eq!(look(&first.1).await["carrying"], USERS - version);
        let began = Instant::now();
        while look(&second.1).await["carrying"] != USERS - version {
            assert!(began.elapsed() < Duration::from_secs(30), "the other process never sees it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.send(true).unwrap();
    worker.await.unwrap();
}
