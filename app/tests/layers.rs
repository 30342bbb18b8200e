//! Arrows point one way: `app → services → shared`. Nothing back, and no service to another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Layer of every crate of the workspace, by package name, with the crates of ours that it names.
fn crates() -> BTreeMap<String, (&'static str, Vec<String>)> {
    let mut crates = BTreeMap::new();
    for (layer, folder) in [("app", "."), ("services", "services"), ("shared", "shared")] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if layer == "app" && !path.ends_with("app") {
                continue;
            }
            let Ok(text) = fs::read_to_string(path.join("Cargo.toml")) else { continue };
            let manifest: toml::Table = text.parse().unwrap();
            let mut named = Vec::new();
            for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let Some(toml::Value::Table(section)) = manifest.get(section) else { continue };
                named.extend(section.keys().filter(|name| name.starts_with("muster")).cloned());
            }
            crates.insert(manifest["package"]["name"].as_str().unwrap().to_owned(), (layer, named));
        }
    }
    crates
}

#[test]
fn arrows_point_one_way() {
    let crates = crates();
    assert!(crates.len() > 10, "only {} crates were found", crates.len());
    for (name, (layer, named)) in &crates {
        for other in named {
            let below = crates[other].0;
            let allowed = match *layer {
                "app" => true,
                _ => below == "shared",
            };
            assert!(allowed, "{name} ({layer}) must not depend on {other} ({below})");
        }
    }
}

#[test]
fn rules_are_an_island() {
    let text = fs::read_to_string(root().join("shared/rules/Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    for far in ["sqlx", "actix-web", "roaring", "tokio"] {
        assert!(manifest["dependencies"].get(far).is_none(), "the rule language must not know {far}");
    }
}

#[test]
fn top_level_folders_are_there() {
    for folder in ["app", "services", "shared", "migrations", "deploy", "load-tests", "docs"] {
        assert!(root().join(folder).is_dir(), "{folder}");
    }
}
