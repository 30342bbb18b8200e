//! The reject report: every refused row with its place and reason, as CSV that anyone may download.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::rows::BadRow;

/// So many characters of a refused value are told.
pub const MAX_VALUE_CHARS: usize = 100;

/// A report being written: `file,line,column,reason,value`, one line per refused row, without a cap.
/// The value is left out for `user_id`: a report is not a list of people.
pub struct RejectReport {
    out: csv::Writer<Output>,
    file: String,
    written: u64,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl RejectReport {
    /// A new report at `path`, gzip or not, on the file that the sender knows as `file`.
    pub fn create(path: &Path, file: &str, gzip: bool) -> io::Result<RejectReport> {
        let plain = BufWriter::with_capacity(64 * 1024, File::create(path)?);
        let out = match gzip {
            true => Output::Gzip(GzEncoder::new(plain, Compression::fast())),
            false => Output::Plain(plain),
        };
        let mut out = csv::Writer::from_writer(out);
        out.write_record(["file", "line", "column", "reason", "value"])?;
        Ok(RejectReport { out, file: file.to_owned(), written: 0 })
    }

    pub fn write(&mut self, bad: &BadRow<'_>) -> io::Result<()> {
        let value = if bad.column == "user_id" { "" } else { first_chars(bad.value, MAX_VALUE_CHARS) };
        self.out.write_record([&self.file, &bad.line.to_string(), bad.column, bad.reason, value])?;
        self.written += 1;
        Ok(())
    }

    /// Rows written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Completes the file, down to the disk, and tells how many rows it holds. A report that is dropped
    /// instead is incomplete.
    pub fn finish(self) -> io::Result<u64> {
        let plain = match self.out.into_inner().map_err(|err| err.into_error())? {
            Output::Plain(plain) => plain,
            Output::Gzip(gzip) => gzip.finish()?,
        };
        plain.into_inner().map_err(|err| err.into_error())?.sync_all()?;
        Ok(self.written)
    }
}

fn first_chars(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(out) => out.write(bytes),
            Output::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(out) => out.flush(),
            // Not passed on: each flush would end a block of the compressed stream.
            Output::Gzip(_) => Ok(()),
        }
    }
}

/// The share of a file's rows that may be refused before nothing of it is published, in millionths, so
/// that 29 of 100 are not more than 0.29.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectLimit {
    millionths: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the reject limit is a share between 0 and 1, not {0}")]
pub struct NotAShare(pub f64);

impl RejectLimit {
    /// A share of at least 0 and at most 1.
    pub fn new(share: f64) -> Result<RejectLimit, NotAShare> {
        if !(0.0..=1.0).contains(&share) {
            return Err(NotAShare(share));
        }
        Ok(RejectLimit { millionths: (share * 1e6).round() as u32 })
    }

    pub fn share(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }

    /// Whether `rejected` of `read` rows are too many. Asked at the end of a file.
    pub fn exceeded(self, rejected: u64, read: u64) -> bool {
        u128::from(rejected) * 1_000_000 > u128::from(self.millionths) * u128::from(read)
    }
}

impl Default for RejectLimit {
    fn default() -> RejectLimit {
        RejectLimit { millionths: 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    #[test]
    fn a_limit_is_exceeded_by_one_row_more_and_by_no_fraction() {
        let check = |share: f64, rejected: u64, read: u64, expected: bool| {
            let limit = RejectLimit::new(share).unwrap();
            assert_eq!(limit.exceeded(rejected, read), expected, "{rejected} of {read} at {share}");
        };
        check(0.01, 100, 10_000, false);
        check(0.01, 101, 10_000, true);
        check(0.29, 29, 100, false);
        check(0.07, 7, 100, false);
        check(0.1, 830, 10_000, false);
        check(0.0, 0, 0, false);
        check(0.0, 1, u64::MAX, true);
        check(1.0, 5, 5, false);
        assert_eq!(RejectLimit::default(), RejectLimit::new(0.01).unwrap());
        assert!(
            RejectLimit::new(-0.1).is_err()
                && RejectLimit::new(1.1).is_err()
                && RejectLimit::new(f64::NAN).is_err()
        );
    }

    #[test]
    fn a_report_is_whole_and_keeps_user_ids_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let long = "é".repeat(150);
        let rows = [
            BadRow { line: 7, column: "user_id", reason: "129 bytes long", value: "secret" },
            BadRow { line: 9, column: "tag_name", reason: "holds a control character", value: "a,\"b\"\nc" },
            BadRow { line: 12, column: "page", reason: "too, long", value: &long },
        ];
        let write = |gzip: bool| {
            let path = dir.path().join(format!("rejects-{gzip}"));
            let mut report = RejectReport::create(&path, "day.csv", gzip).unwrap();
            rows.iter().for_each(|row| report.write(row).unwrap());
            assert_eq!((report.written(), report.finish().unwrap()), (3, 3));
            fs::read(path).unwrap()
        };
        let expected = format!(
            "file,line,column,reason,value\n\
             day.csv,7,user_id,129 bytes long,\n\
             day.csv,9,tag_name,holds a control character,\"a,\"\"b\"\"\nc\"\n\
             day.csv,12,page,\"too, long\",{}\n",
            "é".repeat(100)
        );
        assert_eq!(String::from_utf8(write(false)).unwrap(), expected);
        let mut unzipped = String::new();
        flate2::read::GzDecoder::new(&write(true)[..]).read_to_string(&mut unzipped).unwrap();
        assert_eq!(unzipped, expected);
    }
}
