//! Real files, whole: not a row is lost.

use std::collections::BTreeSet;
use std::path::PathBuf;

use muster_ingest::formats::{Format, Kind};

use crate::collect::{Collected, read_file};

/// Reads a file of the data set, or says that it is not here.
fn check(kind: Kind, file: &str, rows: u64) -> Option<Collected> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("MUSTER_SHARED").map_or(PathBuf::from(beside), PathBuf::from);
    let path = shared.join("data/oulad").join(file);
    if !path.exists() {
        println!("skipped: there is no {}; MUSTER_SHARED names the folder with data/oulad", path.display());
        return None;
    }
    let read = read_file(kind, Format::Csv, &path).unwrap();
    assert_eq!(read.bad, []);
    assert_eq!(read.counts.read, rows);
    assert_eq!(read.lines, (2..rows + 2).collect::<Vec<_>>());
    Some(read)
}

#[test]
fn all_labels_are_read() {
    let Some(read) = check(Kind::Labels, "labels.csv.gz", 259_633) else { return };
    let apps: BTreeSet<&str> = read.rows.iter().map(|row| row.split(' ').nth(1).unwrap()).collect();
    assert_eq!(apps.len(), 22);
    assert_eq!(read.rows[0], "20141231 AAA-2013J 10001=gender 11391 2=M Some(1)");
}

#[test]
fn all_behaviour_is_read() {
    let Some(read) = check(Kind::Behavior, "behavior.csv.gz", 54_872) else { return };
    assert_eq!(read.rows[0], "20130425 AAA-2013J 11391 register 1 ");
}
