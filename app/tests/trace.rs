//! One trace from the request to the cohort, over every process that had a part in it.

mod support;

use std::time::{Duration, Instant};

use muster_real_servers::{Maria, Redis};
use serde_json::{Value, json};
use support::collector::Collector;
use support::{Server, Stores};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name
20261101,a,1,colour,u1,1,red
20261101,a,1,colour,u2,2,blue
";

/// The chain of a span's ancestors in its trace, from the first one on: `service/name`.
fn chain(spans: &[Value], span: &Value) -> Vec<String> {
    let name = format!("{}/{}", span["service"].as_str().unwrap(), span["name"].as_str().unwrap());
    let parent =
        spans.iter().find(|other| other["span"] == span["parent"] && other["trace"] == span["trace"]);
    let mut chain = parent.map_or_else(Vec::new, |parent| chain(spans, parent));
    chain.push(name);
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_job_is_one_trace_over_every_process() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let collector = Collector::start(&dir.path().join("spans.ndjson"));
    let (maria, redis) = (Maria::start(), Redis::start());
    let stores = Stores {
        database: maria.database("muster").await,
        redis: redis.url(),
        prefix: "trace".to_owned(),
        apart: false,
    };
    let telemetry = format!("[telemetry]\nendpoint = '{}'\n", collector.endpoint);
    let server = Server::split(&data, &stores, &telemetry).await;
    let client = server.client();
    assert_eq!(client.import_csv("kind=labels", LABELS).await["state"], "done");
    let cohort = client.cohort("a", &json!({"where": {"label": "colour", "in": ["red"]}})).await;
    assert_eq!(cohort["size"], 1);

    let wanted = [
        "muster-gateway/POST /v1/apps/{app}/segments/{id}/run",
        "muster-segments/POST /v1/apps/{app}/segments/{id}/run",
        "muster-segments/enqueue",
        "muster-segments/job segment",
        "muster-segments/evaluate",
    ];
    // Spans are sent in batches, every few seconds.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let spans = collector.spans();
        let evaluations = spans.iter().filter(|span| span["name"] == "evaluate");
        let chains: Vec<Vec<String>> = evaluations.map(|span| chain(&spans, span)).collect();
        if chains.iter().any(|chain| chain == &wanted) {
            break;
        }
        assert!(Instant::now() < until, "no such trace: {chains:#?}\n{spans:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let spans = collector.spans();
    let imports = spans.iter().filter(|span| span["name"] == "job import").map(|span| chain(&spans, span));
    let chains: Vec<_> = imports.collect();
    assert!(chains.iter().any(|chain| chain[0] == "muster-gateway/POST /v1/imports"), "{chains:?}");
    assert!(!format!("{spans:?}").contains("u1"), "a user id is in a span");
}
