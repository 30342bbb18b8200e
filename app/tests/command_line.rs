//! The binary as a script meets it: exit codes, and what stands on which stream.

use std::net::TcpListener;
use std::process::{Command, Output};

fn muster(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    for name in ["MUSTER_SERVER", "MUSTER_KEY", "MUSTER_DATA", "MUSTER_LISTEN", "MUSTER_CONFIG"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

/// An address that was free a moment ago, and that nobody listens on.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn check(args: &[&str], code: i32, told: &str) {
    let output = muster(args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.contains(told), "{args:?}: {errors}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

#[test]
fn a_server_that_is_not_there() {
    let server = closed();
    for args in [
        &["estimate", "--app", "a", "--rule", "{}"][..],
        &["catalogue", "show", "--app", "a"],
        &["catalogue", "show", "--app", "a", "--csv"],
        &["catalogue", "changes", "--app", "a"],
        &["catalogue", "rollback", "--app", "a", "1"],
        &["segment", "list", "--app", "a"],
        &["segment", "run", "--app", "a", "seg_1"],
        &["cohort", "show", "--app", "a", "coh_1"],
        &["why", "--app", "a", "coh_1", "u"],
        &["export", "--app", "a", "coh_1"],
        &["job", "list"],
        &["job", "watch", "job_1"],
        &["lifecycle"],
        &["import", "--kind", "labels", "--format", "csv", "tests/command_line.rs", "--no-wait"],
    ] {
        check(&[args, &["--server", &server]].concat(), 3, "can't reach the server");
    }
}

#[test]
fn for_a_program_the_error_is_one_line_of_json() {
    let output = muster(&["job", "show", "job_1", "--json", "--server", &closed()]);
    assert_eq!(output.status.code(), Some(3));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["code"], "unreachable");
    assert!(output.stdout.is_empty());
}

#[test]
fn used_wrongly() {
    let server = closed();
    check(&["estimate", "--app", "a", "--server", &server], 2, "give the rule");
    check(&["estimate", "--app", "a", "no-such-file.json", "--server", &server], 2, "no-such-file.json");
    check(&["import", "--kind", "labels", "no-such.csv", "--server", &server], 2, "no-such.csv");
    check(&["import", "--kind", "labels", "Cargo.toml", "--server", &server], 2, "--format");
    check(&["catalogue", "load", "--app", "a", "no-such.json", "--server", &server], 2, "no-such.json");
    check(&["catalogue", "load", "--app", "a", "Cargo.toml", "--server", &server], 2, ".csv");
    check(&["job", "show", "..", "--server", &server], 2, "can't be part of an address");
    check(&["job", "list", "--server", "localhost"], 2, "no server address");
    check(&["segment", "update", "--app", "a", "seg_1", "--server", &server], 2, "what to change");
    check(&["key", "list", "--data", "no-such-folder"], 2, "no data folder");
    check(&["estimate"], 2, "--app");
}

#[test]
fn keys_are_made_listed_and_ended_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let json = |args: &[&str]| {
        let output = muster(&[&["key"], args, &["--data", data, "--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let made = json(&["create", "--apps", "one,two", "--roles", "read,export", "--name", "ci"]);
    assert!(made["secret"].as_str().unwrap().starts_with("mk_"));
    assert_eq!(made["apps"], serde_json::json!(["one", "two"]));
    assert_eq!(made["roles"], serde_json::json!(["read", "export"]));
    let root = json(&["create", "--apps", "*", "--roles", "admin"]);
    assert_eq!(root["apps"], "*");

    let id = made["id"].as_str().unwrap();
    json(&["revoke", id]);
    let listed = json(&["list"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let revoked = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert!(revoked["revoked_at"].is_string());
    assert!(!listed.to_string().contains("mk_"), "a secret is listed");

    let output = muster(&["key", "revoke", "key_none", "--data", data]);
    assert_eq!(output.status.code(), Some(1));
}

/// The README's first command names no program: cargo has to find the one.
#[test]
fn cargo_run_starts_the_product() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    // From the top, as people run it; in the folder of a package it would be that package's.
    cargo.current_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let started = metadata["workspace_default_members"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.filter(|package| started.contains(&package["id"]));
    let targets = targets.flat_map(|package| package["targets"].as_array().unwrap());
    let programs: Vec<_> =
        targets.filter(|target| target["kind"][0] == "bin").map(|it| &it["name"]).collect();
    assert_eq!(programs, ["muster"]);
}
