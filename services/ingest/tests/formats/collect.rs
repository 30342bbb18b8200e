//! Reads bytes as a file of some format, and keeps what a sink is given.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use muster_days::{Ds, Tz};
use muster_ingest::formats::{
    Counts, Format, Intake, Kind, ReadError, Source, read_behavior, read_events, read_labels,
};
use muster_ingest::rows::{BadRow, BehaviorRow, BehaviorSink, LabelRow, LabelSink, Pieces, Refuse};

/// What was handed on, each row as one line of text.
#[derive(Debug, Default, PartialEq)]
pub struct Collected {
    pub rows: Vec<String>,
    /// Lines of the good rows.
    pub lines: Vec<u64>,
    pub bad: Vec<(u64, String, String)>,
    pub values: Vec<String>,
    pub counts: Counts,
}

impl Refuse for Collected {
    fn refuse(&mut self, bad: &BadRow<'_>) -> io::Result<()> {
        self.bad.push((bad.line, bad.column.to_owned(), bad.reason.to_owned()));
        self.values.push(bad.value.to_owned());
        Ok(())
    }
}

impl LabelSink for Collected {
    fn label(&mut self, line: u64, row: &LabelRow<'_>) -> io::Result<()> {
        let LabelRow { ds, app, label_id, label_name, user, tag_id, tag_name, weight } = row;
        self.lines.push(line);
        self.rows.push(format!("{ds} {app} {label_id}={label_name} {user} {tag_id}={tag_name} {weight:?}"));
        Ok(())
    }
}

impl BehaviorSink for Collected {
    fn behavior(&mut self, line: u64, row: &BehaviorRow<'_>) -> io::Result<()> {
        let BehaviorRow { ds, app, user, event, pv, dimensions, measures, names } = row;
        let mut columns: Vec<String> =
            dimensions.iter().map(|(at, value)| format!("{}={value}", names.dimensions[*at])).collect();
        columns.extend(measures.iter().map(|(at, number)| format!("{}={number}", names.measures[*at])));
        columns.sort();
        self.lines.push(line);
        self.rows.push(format!("{ds} {app} {user} {event} {pv} {}", columns.join(" ")));
        Ok(())
    }
}

impl Pieces for Collected {
    type Piece = Collected;

    fn start(&self) -> impl Fn() -> Collected + Sync + use<> {
        Collected::default
    }

    fn take(&mut self, piece: Collected) -> io::Result<()> {
        self.rows.extend(piece.rows);
        self.lines.extend(piece.lines);
        self.bad.extend(piece.bad);
        self.values.extend(piece.values);
        Ok(())
    }
}

impl Collected {
    pub fn bad(&self) -> Vec<(u64, &str, &str)> {
        self.bad.iter().map(|(line, column, reason)| (*line, &column[..], &reason[..])).collect()
    }
}

/// Reads a file; apps other than `forbidden` are allowed, `strict` takes one label, `la` counts its days in Los Angeles,
/// `early` takes none after 20261103.
pub fn read_file(kind: Kind, format: Format, path: &Path) -> Result<Collected, ReadError> {
    let consumed = AtomicU64::new(0);
    let scratch = tempfile::tempdir().unwrap();
    let intake = Intake {
        allowed: &|app| app != "forbidden",
        takes_label: &|app, label| app != "strict" || label == 10001,
        zone_of: &|app| if app == "la" { Tz::America__Los_Angeles } else { Tz::UTC },
        last_day: &|app| (app == "early").then(|| Ds::from_number(20261103).unwrap()),
        stopped: &|| false,
        consumed: &consumed,
        scratch: scratch.path(),
    };
    let source = Source { path, format, gzip: false };
    let mut collected = Collected::default();
    collected.counts = match kind {
        Kind::Labels => read_labels(&source, &intake, &mut collected),
        Kind::Behavior => read_behavior(&source, &intake, &mut collected),
        Kind::Events => read_events(&source, &intake, &mut collected),
    }?;
    let size = std::fs::metadata(path).unwrap().len();
    assert_eq!(consumed.load(Ordering::Relaxed), size, "all of the file was consumed");
    assert_eq!(collected.counts.rejected, collected.bad.len() as u64);
    assert_eq!(collected.counts.read, (collected.bad.len() + collected.rows.len()) as u64);
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "nothing is left in the scratch folder"
    );
    Ok(collected)
}

pub fn read(kind: Kind, format: Format, content: &[u8]) -> Result<Collected, ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    read_file(kind, format, file.path())
}

pub fn read_csv(kind: Kind, content: &str) -> Collected {
    read(kind, Format::Csv, content.as_bytes()).unwrap()
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Stops after so many questions.
#[test]
fn a_reader_stops_when_told() {
    let mut content = String::from("ds,app_id,user_id,event,pv\n");
    (0..100_000).for_each(|n| content.push_str(&format!("20261101,shop,{n},visit,1\n")));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    let (consumed, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    let intake = Intake {
        allowed: &|_| true,
        takes_label: &|_, _| true,
        zone_of: &|_| Tz::UTC,
        last_day: &|_| None,
        stopped: &|| asked.fetch_add(1, Ordering::Relaxed) == 6,
        consumed: &consumed,
        scratch: Path::new("."),
    };
    let source = Source { path: file.path(), format: Format::Csv, gzip: false };
    let mut collected = Collected::default();
    let outcome = read_behavior(&source, &intake, &mut collected);
    assert!(matches!(outcome, Err(ReadError::Stopped)));
    assert!(collected.rows.len() < 100_000, "{}", collected.rows.len());
}
