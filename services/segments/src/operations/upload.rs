//! User ids that are uploaded: read row by row, looked up, and what is to be said of them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use csv::ByteRecord;
use muster_profile_store::Snapshot;
use roaring::RoaringBitmap;
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::export::write_csv;
use crate::error::Error;

/// Longest id of a user, in bytes; that of imports.
const ID_BYTES: usize = 128;
/// Longest line.
const LINE_BYTES: u64 = 1 << 20;
/// The report on ids that the app does not know, and on rows that are refused.
const REPORT_BYTES: usize = 64 << 20;
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
        write_csv(id.as_bytes(), report);
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

/// Line by line: no id holds the end of a line, and so a quote that is left open spoils one row and no other.
fn csv(body: impl Read, reading: &mut Reading<'_>) -> Result<(), Error> {
    let mut column = None;
    lines(body, |number, line| {
        let Some(column) = column else {
            let header = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            let fields = fields(header).unwrap_or_default();
            column = fields.iter().position(|field| field.trim_ascii() == COLUMN);
            let detail = "A CSV file begins with a header that has the column `user_id`.";
            return match column {
                Some(_) => Ok(()),
                None => Err(Error::Upload { code: "no_user_id", detail: detail.to_owned() }),
            };
        };
        let Some(fields) = fields(line) else {
            return reading.row(number, Err("a quote is opened and never closed"));
        };
        let id = fields.get(column).unwrap_or_default();
        reading.row(number, std::str::from_utf8(id).map_err(|_| "not UTF-8"))
    })?;
    match column {
        Some(_) => Ok(()),
        None => Err(Error::Upload { code: "no_users", detail: "The body holds no ids.".to_owned() }),
    }
}

/// None where a quote is left open.
fn fields(line: &[u8]) -> Option<ByteRecord> {
    if !line.contains(&b'"') {
        return Some(line.split(|byte| *byte == b',').collect());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    let mut record = ByteRecord::new();
    let closed = line.iter().filter(|byte| **byte == b'"').count().is_multiple_of(2);
    (closed && reader.read_byte_record(&mut record).ok()?).then_some(record)
}

/// Gives `take` each line that is not empty, with its number and without its end.
fn lines(body: impl Read, mut take: impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
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
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            take(number, line)?;
        }
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
    lines(body, |number, line| {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let parsed: Result<Line<'_>, _> = serde_json::from_slice(line);
        match parsed.map(|line| id_of(line.user_id)) {
            Ok(id) => reading.row(number, id.as_deref().map_err(|fault| *fault)),
            Err(_) => reading.row(number, Err("no object with a `user_id`")),
        }
    })
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
