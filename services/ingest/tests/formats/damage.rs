//! Damaged files: an error with its place, whatever the bytes are, and never a panic.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use muster_days::Tz;
use muster_ingest::formats::{Format, Intake, Kind, ReadError, Source, read_labels};
use parquet::basic::Compression;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::collect::{Collected, gzip, read};
use crate::parquet::file;

const KINDS: [Kind; 3] = [Kind::Labels, Kind::Behavior, Kind::Events];
const FORMATS: [Format; 3] = [Format::Csv, Format::Parquet, Format::Ndjson];

fn behavior_csv(rows: usize) -> String {
    let mut content = String::from("ds,app_id,user_id,event,pv,page\n");
    (0..rows).for_each(|n| content += &format!("20261101,shop,user-{n},visit,1,\"/p{n}\"\n"));
    content
}

fn behavior_parquet(rows: usize) -> Vec<u8> {
    let text = |value: fn(usize) -> String| -> ArrayRef {
        Arc::new((0..rows).map(|n| Some(value(n))).collect::<StringArray>())
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ds", Arc::new(Int64Array::from_iter_values((0..rows).map(|_| 20261101)))),
        ("app_id", text(|_| "shop".into())),
        ("user_id", text(|n| format!("user-{n}"))),
        ("event", text(|_| "visit".into())),
        ("pv", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n as i64)))),
        ("page", text(|n| format!("/p{}", n % 5))),
    ];
    file(columns, 100, Compression::SNAPPY)
}

/// Reads without caring for the outcome, as long as there is one.
fn survives(kind: Kind, format: Format, content: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| read(kind, format, content).is_ok()));
    assert!(outcome.is_ok(), "{kind} as {format:?} panicked on {:?}", String::from_utf8_lossy(content));
}

#[test]
fn a_gzip_cut_short_is_told_with_its_place() {
    let whole = gzip(behavior_csv(50_000).as_bytes());
    for (kind, format) in [(Kind::Behavior, Format::Csv), (Kind::Events, Format::Ndjson)] {
        for len in [whole.len() - 1, whole.len() - 8, whole.len() / 2] {
            match read(kind, format, &whole[..len]) {
                Err(err @ ReadError::Corrupt { .. }) => {
                    assert!(err.to_string().contains("after line"), "{err}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    assert_eq!(read(Kind::Behavior, Format::Csv, &flipped).unwrap_err().code(), "corrupt_file");
    let mut trailing = whole;
    trailing.extend(b"garbage");
    assert_eq!(read(Kind::Behavior, Format::Csv, &trailing).unwrap_err().code(), "corrupt_file");
}

#[test]
fn a_damaged_parquet_file_is_told() {
    let whole = behavior_parquet(1000);
    assert_eq!(read(Kind::Behavior, Format::Parquet, &whole).unwrap().rows.len(), 1000);
    for len in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
        let err = read(Kind::Behavior, Format::Parquet, &whole[..len]).unwrap_err();
        assert_eq!(err.code(), "corrupt_file", "{err}");
    }
    let err = read(Kind::Behavior, Format::Parquet, behavior_csv(10).as_bytes()).unwrap_err();
    assert_eq!(err.code(), "corrupt_file", "{err}");
    let zipped = gzip(&whole);
    let err = read(Kind::Behavior, Format::Parquet, &zipped[..zipped.len() / 2]).unwrap_err();
    assert!(err.to_string().contains("inside its gzip"), "{err}");
}

#[test]
fn a_declared_gzip_has_to_be_one() {
    let mut plain = tempfile::NamedTempFile::new().unwrap();
    plain.write_all(b"ds,app_id\n").unwrap();
    let consumed = AtomicU64::new(0);
    let intake = Intake {
        allowed: &|_| true,
        takes_label: &|_, _| true,
        zone_of: &|_| Tz::UTC,
        last_day: &|_| None,
        stopped: &|| false,
        consumed: &consumed,
        scratch: Path::new("."),
    };
    let source = Source { path: plain.path(), format: Format::Csv, gzip: true };
    let err = read_labels(&source, &intake, &mut Collected::default()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "the file is damaged at byte 0: declared as gzip, but it does not begin like gzip"
    );
    let source = Source { path: Path::new("/nowhere/at/all"), ..source };
    let err = read_labels(&source, &intake, &mut Collected::default()).unwrap_err();
    assert!(matches!(err, ReadError::Io(_)), "{err}");
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = StdRng::seed_from_u64(11);
    let alphabet = b"\",\n\r{}[]:0123456789-emnulltruds_ap\xff\xc3\xa9\0";
    for _ in 0..150 {
        let len = rng.random_range(0..300);
        let noise: Vec<u8> = (0..len).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
        let after_header = [b"ds,app_id,user_id,event,pv,page\n", &noise[..]].concat();
        for kind in KINDS {
            for format in FORMATS {
                survives(kind, format, &noise);
                survives(kind, format, &after_header);
            }
            survives(kind, Format::Csv, &[&[0x1f, 0x8b, 8], &noise[..]].concat());
        }
    }
}

#[test]
fn changed_bytes_never_panic() {
    let mut rng = StdRng::seed_from_u64(12);
    let csv = behavior_csv(50).into_bytes();
    let json =
        br#"{"time":"2026-11-01T00:00:00Z","app_id":"shop","user_id":12,"event":"e","properties":{"a":1.5}}"#;
    let sources = [
        (Kind::Behavior, Format::Csv, csv.clone()),
        (Kind::Behavior, Format::Csv, gzip(&csv)),
        (Kind::Events, Format::Ndjson, json.to_vec()),
        (Kind::Behavior, Format::Parquet, behavior_parquet(300)),
    ];
    for (kind, format, whole) in sources {
        for _ in 0..200 {
            let mut changed = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..changed.len());
                changed[at] = rng.random();
            }
            survives(kind, format, &changed);
        }
    }
}
