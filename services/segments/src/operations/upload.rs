//! User ids that are uploaded: read row by row, looked up, and what is to be said of them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use csv::ByteRecord;
use muster_profile_store::Snapshot;
use roaring::RoaringBitmap;
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;

/// Longest id of a user, in bytes; that of imports.
const ID_BYTES: usize = 128;
/// Longest line of NDJSON.
const LINE_BYTES: u64 = 1 << 20;
/// The report on ids that the app does not know, and on rows that are refused.
const REPORT_BYTES: usize = 256 << 20;
/// The column of a CSV file that holds ids.
const COLUMN: &[u8] = b"user_id";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadFormat {
    /// With the column `user_id`; others are left alone.
    Csv,
    /// `{"user_id": "…"}` a line; the id is text or a whole number.
    Ndjson,
}

/// What an upload holds.
pub struct Upload {
    /// Users that the app knows: ordinals per bucket.
    pub users: Vec<RoaringBitmap>,
    pub rows: u64,
    pub rejected: u64,
    /// Rows with an id that stood further up.
    pub repeated: u64,
    /// Different ids that no label and no event of the app has ever named.
    pub unknown: u64,
    /// CSV `line,user_id,reason`: the unknown and the rejected, in their order. Empty without any.
    pub report: Vec<u8>,
}

/// Blocks until the body has ended.
pub fn read(snapshot: &Snapshot, format: UploadFormat, body: impl Read) -> Result<Upload, Error> {
    let mut reading = Reading::new(snapshot);
    match format {
        UploadFormat::Csv => csv(body, &mut reading)?,
        UploadFormat::Ndjson => ndjson(body, &mut reading)?,
    }
    Ok(reading.upload)
}

struct Reading<'s> {
    snapshot: &'s Snapshot,
    upload: Upload,
    /// Hashes of the unknown ids.
    unknown: HashSet<u128>,
}

impl Reading<'_> {
    fn new(snapshot: &Snapshot) -> Reading<'_> {
        let users = vec![RoaringBitmap::new(); snapshot.directory().buckets() as usize];
        let upload = Upload { users, rows: 0, rejected: 0, repeated: 0, unknown: 0, report: Vec::new() };
        Reading { snapshot, upload, unknown: HashSet::new() }
    }

    fn row(&mut self, line: u64, id: Result<&str, &'static str>) -> Result<(), Error> {
        self.upload.rows += 1;
        let (id, fault) = match id {
            Ok(id) => (id, fault(id)),
            Err(fault) => ("", Some(fault)),
        };
        if let Some(fault) = fault {
            self.upload.rejected += 1;
            // Whatever it is, it is no id.
            return self.report(line, "", fault);
        }
        let place = self.snapshot.directory().find(id.as_bytes());
        let is_new = match place {
            Some(place) => self.upload.users[place.bucket as usize].insert(place.ordinal),
            None => self.unknown.insert(xxh3_128(id.as_bytes())),
        };
        match (is_new, place) {
            (false, _) => self.upload.repeated += 1,
            (true, Some(_)) => {}
            (true, None) => {
                self.upload.unknown += 1;
                self.report(line, id, "unknown")?;
            }
        }
        Ok(())
    }

    fn report(&mut self, line: u64, id: &str, reason: &str) -> Result<(), Error> {
        let report = &mut self.upload.report;
        if report.is_empty() {
            report.extend_from_slice(b"line,user_id,reason\n");
        }
        report.extend_from_slice(format!("{line},").as_bytes());
        super::export::write_csv(id.as_bytes(), report);
        report.extend_from_slice(format!(",{reason}\n").as_bytes());
        if report.len() > REPORT_BYTES {
            let detail =
                "So many ids are not known that not all of them can be told. Is this the right file?";
            return Err(Error::Upload { code: "too_many_unknown", detail: detail.to_owned() });
        }
        Ok(())
    }
}

/// Why this is no id of a user.
fn fault(id: &str) -> Option<&'static str> {
    match id {
        "" => Some("empty"),
        id if id.len() > ID_BYTES => Some("longer than 128 bytes"),
        id if id.chars().any(char::is_control) => Some("holds a control character"),
        _ => None,
    }
}

fn csv(body: impl Read, reading: &mut Reading<'_>) -> Result<(), Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
    let headers = reader.byte_headers().map_err(unreadable)?;
    let Some(column) = headers.iter().position(|header| header.trim_ascii() == COLUMN) else {
        let detail = "A CSV file begins with a header that has the column `user_id`.".to_owned();
        return Err(Error::Upload { code: "no_user_id", detail });
    };
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let line = record.position().map_or(0, csv::Position::line);
        let id = record.get(column).unwrap_or_default();
        reading.row(line, std::str::from_utf8(id).map_err(|_| "not UTF-8"))?;
    }
    Ok(())
}

fn unreadable(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => broken_off(&error),
        kind => Error::Upload { code: "not_csv", detail: format!("This is no CSV: {kind:?}.") },
    }
}

fn broken_off(error: &std::io::Error) -> Error {
    Error::Upload { code: "body_unreadable", detail: format!("The body broke off: {error}.") }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    user_id: &'a RawValue,
}

fn ndjson(body: impl Read, reading: &mut Reading<'_>) -> Result<(), Error> {
    let mut body = BufReader::with_capacity(1 << 16, body);
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let read = body.by_ref().take(LINE_BYTES).read_until(b'\n', &mut bytes);
        if read.map_err(|error| broken_off(&error))? == 0 {
            return Ok(());
        }
        number += 1;
        if bytes.len() as u64 == LINE_BYTES {
            let detail = format!("Line {number} is longer than {LINE_BYTES} bytes.");
            return Err(Error::Upload { code: "line_too_long", detail });
        }
        let line = bytes.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let parsed: Result<Line<'_>, _> = serde_json::from_slice(line);
        match parsed.map(|line| id_of(line.user_id)) {
            Ok(id) => reading.row(number, id.as_deref().map_err(|fault| *fault))?,
            Err(_) => reading.row(number, Err("no object with a `user_id`"))?,
        }
    }
}

/// Text, or the digits of a whole number as they were sent.
fn id_of(value: &RawValue) -> Result<String, &'static str> {
    let text = value.get();
    if text.starts_with('"') {
        return serde_json::from_str(text).map_err(|_| "no text");
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| text.to_owned()).ok_or("neither text nor a whole number")
}
