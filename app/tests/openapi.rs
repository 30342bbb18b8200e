//! The API's own description: a validator accepts it, and it knows every route the design promises.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::Server;

/// A Python environment of this test's own, with the validator in it.
fn validator() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-tools");
    run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools.sh")).arg(&folder));
    folder.join("bin/python")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_accepts_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let text = server.client().text("/openapi.json").await;
    let file = dir.path().join("openapi.json");
    std::fs::write(&file, &text).unwrap();
    run(Command::new(validator()).args(["-m", "openapi_spec_validator"]).arg(&file));

    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths: Vec<String> =
        document["paths"].as_object().unwrap().keys().map(|path| nameless(path)).collect();
    for path in [
        "/v1/imports",
        "/v1/apps/{app}/lifecycle",
        "/v1/apps/{app}/labels",
        "/v1/apps/{app}/labels/{label}/tags",
        "/v1/apps/{app}/base-crowds",
        "/v1/apps/{app}/events",
        "/v1/apps/{app}/segments/estimate",
        "/v1/apps/{app}/segments",
        "/v1/apps/{app}/segments/{id}",
        "/v1/apps/{app}/segments/{id}/run",
        "/v1/jobs/{id}",
        "/v1/jobs/{id}/cancel",
        "/v1/jobs/{id}/events",
        "/v1/apps/{app}/cohorts/{id}",
        "/v1/apps/{app}/cohorts/{id}/users",
        "/v1/apps/{app}/cohorts/{id}/users/{user}",
        "/v1/apps/{app}/cohorts/{id}/profile",
        "/v1/apps/{app}/cohorts/{id}/difference",
        "/v1/apps/{app}/cohorts/{id}/behaviour",
        "/v1/apps/{app}/cohorts/{id}/behaviour/{event}/dimensions/{dim}",
        "/v1/apps/{app}/cohorts/{id}/spread",
        "/v1/apps/{app}/cohorts/overlap",
        "/v1/apps/{app}/cohorts/membership",
        "/v1/apps/{app}/lists/{id}/users",
        "/v1/apps/{app}/lists/{id}/versions/{id}/report",
        "/v1/apps/{app}/insights/labels/{label}",
        "/v1/apps/{app}/insights/labels/{label}/trend",
        "/v1/apps/{app}/insights/events",
        "/v1/apps/{app}/insights/events/{event}",
        "/v1/apps/{app}/insights/events/{event}/dimensions/{dim}",
        "/v1/apps/{app}/insights/refresh",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains(&nameless(path)), "{path} is not described");
    }
}

/// The path with every parameter's name left out.
fn nameless(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
