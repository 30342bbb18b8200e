//! `muster catalogue`: a catalogue as a file that is kept, changed, loaded and taken back.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::Server;

struct Catalogue<'a> {
    url: &'a str,
    folder: &'a Path,
}

impl Catalogue<'_> {
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.current_dir(self.folder).arg("catalogue").args(args);
        command.args(["--app", "shop", "--server", self.url]).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    /// What it says when it is refused.
    fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
        said
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }
}

const TABLE: &str = "label_id,label_name,group,retired,tag_id,tag_name,tag_name:zh,label_name:zh
10001,gender,demographics,,1,male,男,性别
10001,,,,2,\"fe,male\",女,
20000,tier,,true,,,,
";

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_a_file_that_is_loaded_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let muster = Catalogue { url: &server.url, folder: dir.path() };
    muster.write("labels.csv", TABLE);
    let told = muster.ok(&["load", "labels.csv", "--dry-run"]);
    assert!(told.starts_with("would change") && told.contains("label 20000"), "{told}");
    assert!(muster.fails(&["show"], 1).contains("app_not_found"));
    let told = muster.ok(&["load", "labels.csv", "--if-match", "0"]);
    assert!(told.contains("at version 1; changed:\n  label 10001\n  label 20000"), "{told}");
    let told = muster.ok(&["show"]);
    assert!(told.contains("version 1") && told.contains("zh: 性别") && told.contains("retired"), "{told}");

    // What is shown says the same when it is loaded, as a table and as a document.
    let table = muster.ok(&["show", "--csv"]);
    assert!(table.contains("10001,,,,,,2,\"fe,male\",false,,女\n"), "{table}");
    muster.write("copy.csv", &table);
    muster.write("copy.JSON", &muster.ok(&["show", "--json"]));
    for copy in ["copy.csv", "copy.JSON"] {
        assert_eq!(muster.json(&["load", copy])["changed"], json!([]), "{copy}");
    }
    muster.write("more.json", r#"{"events": {"ping": {"active": false}}, "settings": {"privacy_floor": 5}}"#);
    assert_eq!(muster.json(&["load", "more.json"])["version"], 2);

    let changes = muster.json(&["changes"]);
    assert_eq!(changes["items"][0]["what"], "event ping, settings", "{changes}");
    let told = muster.ok(&["changes"]);
    assert!(told.starts_with("VERSION") && told.contains("label 10001, label 20000"), "{told}");
    assert!(muster.fails(&["rollback", "1", "--if-match", "1"], 1).contains("version_conflict"));
    let told = muster.ok(&["rollback", "1", "--if-match", "2"]);
    assert!(told.contains("at version 3; changed:"), "{told}");
    assert_eq!(muster.json(&["show"])["events"], json!({}));
    assert!(muster.fails(&["rollback", "9"], 1).contains("version_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_loaded_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let muster = Catalogue { url: &server.url, folder: dir.path() };
    for (name, text, said) in [
        ("column.csv", "label_id,tag_nam\n1,a\n", "did you mean `tag_name`?"),
        ("row.csv", "label_id,tag_id,tag_name\n1,1,a\nx,1,a\n", "line 3, label_id: `x` is no whole number"),
        ("part.json", r#"{"lables": {}}"#, "did you mean `labels`?"),
        ("entry.json", r#"{"labels": {"1": {"nam": "a"}}}"#, "/labels/1: "),
        ("torn.json", r#"{"labels": "#, "no JSON object"),
        (
            "crowd.json",
            r#"{"labels": {"1": {"name": "gender"}},
                "base_crowds": {"x": {"rule": {"where": {"label": "gendre", "set": true}}}}}"#,
            "did you mean `gender`?",
        ),
    ] {
        muster.write(name, text);
        let told = muster.fails(&["load", name], 1).replace("Did you mean", "did you mean");
        assert!(told.contains(said) && told.contains("status 422"), "{name}: {told}");
    }
    muster.write("labels.xlsx", "");
    assert!(muster.fails(&["load", "labels.xlsx"], 2).contains("neither .json nor .csv"));
    assert!(muster.fails(&["load", "none.json"], 2).contains("none.json"));
    let error: Value = serde_json::from_str(&muster.fails(&["load", "part.json", "--json"], 1)).unwrap();
    assert_eq!(error["errors"][0]["nearest"], "labels", "{error}");
}
