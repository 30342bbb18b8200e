//! Stored rules keep their meaning: every accepted rule and its canonical form, every refused one and its
//! problems, as files. `MUSTER_BLESS=1 cargo test -p muster-rules` rewrites the expected ones.

mod shop;

use std::fs;
use std::path::{Path, PathBuf};

use muster_rules::{Caps, check, parse};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn rules(folder_name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(folder_name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.to_str().unwrap().ends_with(".rule.json")).collect();
    files.sort();
    assert!(files.len() >= 10, "only {} files in {folder_name}", files.len());
    files
}

fn compare(rule: &Path, kind: &str, actual: &str) {
    let expected = PathBuf::from(rule.to_str().unwrap().replace(".rule.json", kind));
    if std::env::var_os("MUSTER_BLESS").is_some() {
        fs::write(&expected, format!("{actual}\n")).unwrap();
    }
    let text = fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(text.trim_end(), actual, "{}", expected.display());
}

#[test]
fn accepted_rules_have_their_canonical_form() {
    for path in rules("accepted") {
        let rule = parse(&fs::read(&path).unwrap(), &Caps::default());
        let rule = rule.unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()));
        compare(&path, ".canonical.json", &rule.to_json());
        assert_eq!(parse(rule.to_json().as_bytes(), &Caps::default()).as_ref(), Ok(&rule));
        check(&rule, &shop::shop(), &Caps::default()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    }
}

#[test]
fn refused_rules_have_their_problems() {
    for path in rules("refused") {
        let caps = Caps::default();
        let checked =
            parse(&fs::read(&path).unwrap(), &caps).and_then(|rule| check(&rule, &shop::shop(), &caps));
        let problems = checked.expect_err(path.to_str().unwrap());
        compare(&path, ".problems.json", &serde_json::to_string_pretty(&problems).unwrap());
    }
}
