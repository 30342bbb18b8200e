//! Days past `kept_days`: their rows are dropped from every table, those of the days kept stay as they are.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use muster_days::{Ds, Tz};
use muster_jobs::{Jobs, NewJob, Priority, QueueAt, State};
use muster_metrics::{METRICS, Metrics, Settings};
use muster_profile_store::{EventShape, Store};
use muster_sql::{Db, on};
use serde_json::json;

const TABLES: [&str; 8] = [
    "metric_cell",
    "metric_label",
    "metric_crowd",
    "metric_crowd_new",
    "metric_weight",
    "metric_event",
    "metric_dimension",
    "metric_dimension_day",
];

fn publish(store: &Store, today: Ds) {
    let mut publication = store.publish("a").unwrap();
    for ds in today.plus(-9).through(today) {
        publication.start_label(1, "colour", ds).unwrap();
        publication.label_row(b"ann", 1, "red", Some(7)).unwrap();
        publication.finish_part(0).unwrap();
        let dimensions = ["page".to_owned()];
        let shape = EventShape { event: "visit", ds, dimensions: &dimensions, measures: &[] };
        publication.start_event(&shape).unwrap();
        publication.event_row(b"ann", 1, &[Some("/home")], &[]).unwrap();
        publication.finish_part(0).unwrap();
    }
    publication.commit(0).unwrap();
}

async fn work(metrics: &Metrics) {
    let job = NewJob {
        id: None,
        app_id: Some("a".into()),
        owner: "test".into(),
        kind: METRICS,
        payload: json!({}),
        priority: Priority::Routine,
    };
    let jobs = &metrics.jobs;
    let id = jobs.enqueue(job).await.unwrap().id;
    let ended = async {
        loop {
            let job = jobs.get(&id).await.unwrap().unwrap();
            if job.state.is_final() {
                return assert_eq!(job.state, State::Done, "{job:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    jobs.run_workers(muster_metrics::handlers(metrics.clone()), ended).await.unwrap();
}

/// Days of the table, and all it says of them but when.
async fn rows(db: &Db, table: &str, from: Ds) -> (Vec<u32>, i64) {
    let days = sqlx::AssertSqlSafe(format!("SELECT DISTINCT ds FROM {table} ORDER BY ds"));
    let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table} WHERE ds >= ?"));
    let days = on!(db, pool => sqlx::query_scalar(days).fetch_all(pool).await.unwrap());
    let from = from.number();
    (days, on!(db, pool => sqlx::query_scalar(count).bind(from).fetch_one(pool).await.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_kept_days_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let today = Ds::of(Utc::now(), Tz::UTC).unwrap();
    publish(&store, today);
    let queue = match muster_real_servers::redis(folder.path()) {
        Some((url, prefix)) => QueueAt::redis(&url, &prefix).unwrap(),
        None => QueueAt::File(folder.path().join("queue.db")),
    };
    let metrics = async |kept_days: u32| {
        let settings = muster_jobs::Settings { poll_every: Duration::from_millis(20), ..Default::default() };
        let jobs = Jobs::new(db.clone(), &queue, settings).await.unwrap();
        let settings = Settings {
            recent_days: 30,
            start_disabled: false,
            kept_days,
            dimension_values: 10,
            concurrency: 1,
        };
        Metrics::new(db.clone(), jobs, store.clone(), settings)
    };
    work(&metrics(0).await).await;
    let (all, from) = (10, today.plus(-5));
    let mut before = Vec::new();
    for table in TABLES {
        let (days, kept) = rows(&db, table, from).await;
        assert_eq!(days.len(), all, "{table}");
        before.push(kept);
    }
    work(&metrics(5).await).await;
    let expected: Vec<u32> = from.through(today).map(Ds::number).collect();
    for (table, before) in TABLES.into_iter().zip(before) {
        assert_eq!(rows(&db, table, from).await, (expected.clone(), before), "{table}");
    }
}
