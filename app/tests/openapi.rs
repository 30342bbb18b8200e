//! The API's own description: a validator accepts it, and it knows every route the design promises.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::Server;

const VALIDATOR: &str = "openapi-spec-validator==0.9.0";

/// A Python environment of this test's own, with the validator in it.
fn validator() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-validator");
    let python = folder.join("bin/python");
    let have = Command::new(&python).args(["-c", "import openapi_spec_validator"]).output();
    if have.is_ok_and(|output| output.status.success()) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", VALIDATOR]));
    python
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
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in [
        "/v1/imports",
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
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.iter().any(|known| *known == path), "{path} is not described");
    }
}
