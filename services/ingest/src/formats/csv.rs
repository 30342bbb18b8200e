//! CSV after RFC 4180, strictly: a record that breaks the rules costs its own first line and no other.
//! Own code rather than a library's because records must be capped, keep their physical line and give
//! way after a quote that is never closed; nothing is allocated per row.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::columns::check_count;
use super::in_order::in_order;
use super::source::open;
use super::target::{Record, Target};
use super::text::{LineEnd, MAX_RECORD, Text, trim_end};
use super::{Counts, Intake, ReadError, Source};
use crate::rows::Pieces;

/// Bytes of a piece: some ten thousand rows.
const PIECE: usize = 1 << 20;

/// Cuts the file into pieces of whole records, which `read_piece` turns into rows side by side.
pub(super) fn read<P: Pieces>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    pieces: &mut P,
    read_piece: impl Fn(&[String], &mut Text<'_>) -> Result<(P::Piece, Counts), ReadError> + Sync,
) -> Result<Counts, ReadError> {
    let mut text = Text::new(open(source, intake)?, intake)?;
    let mut fields = Fields::default();
    let header = read_header(&mut text, &mut fields)?;
    let mut counts = Counts::default();
    // Memory of earlier pieces: new pages cost as much as reading what is in them.
    let spare: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    // One at least, for what is wrong with a header.
    let mut begun = false;
    in_order(
        || {
            let line = text.line();
            let mut records = spare().pop().unwrap_or_default();
            next_records(&mut text, &mut fields, &mut records)?;
            let some = !records.is_empty() || !std::mem::replace(&mut begun, true);
            Ok(some.then_some((records, line)))
        },
        |(records, line)| {
            let mut text = Text::of_records(records, line);
            let outcome = read_piece(&header, &mut text);
            spare().push(text.into_records());
            outcome
        },
        |(piece, read)| {
            counts.add(read);
            pieces.take(piece).map_err(ReadError::Sink)
        },
    )?;
    Ok(counts)
}

/// Whole records, about [`PIECE`] bytes of them; none at the end of the text.
fn next_records(text: &mut Text<'_>, fields: &mut Fields, records: &mut Vec<u8>) -> Result<(), ReadError> {
    records.clear();
    records.reserve(PIECE + PIECE / 4);
    while records.len() < PIECE {
        let window = text.window();
        let window = &window[..window.len().min(PIECE)];
        let plain = &window[..memchr::memchr(b'"', window).unwrap_or(window.len())];
        if let Some(last) = memchr::memrchr(b'\n', plain) {
            // Without quotes a line is a record.
            let lines = memchr::memchr_iter(b'\n', &plain[..=last]).count() as u64;
            records.extend_from_slice(&plain[..=last]);
            text.advance(last + 1, lines);
            continue;
        }
        let (len, lines) = match next_extent(text, false)? {
            None => break,
            Some(Extent::Record { len, lines }) => (len, lines),
            Some(Extent::TooLong) => {
                // As much of it as shows that it is too long.
                records.extend_from_slice(text.bytes(MAX_RECORD + 1));
                records.push(b'\n');
                text.skip_line()?;
                continue;
            }
        };
        let record = text.bytes(len);
        // A record that breaks the rules costs its first line only: what follows is read anew.
        let (len, lines) = match lines > 1 && fields.split(trim_end(record), false).is_err() {
            true => (memchr::memchr(b'\n', record).map_or(len, |end| end + 1), 1),
            false => (len, lines),
        };
        records.extend_from_slice(text.bytes(len));
        text.advance(len, lines);
    }
    Ok(())
}

/// Hands each record of a piece to the target.
pub(super) fn records(
    header: &[String],
    text: &mut Text<'_>,
    target: &mut impl Target,
) -> Result<(), ReadError> {
    target.header(header)?;
    let mut fields = Fields::default();
    let plain = memchr::memchr(b'"', text.window()).is_none();
    while let Some(extent) = next_extent(text, plain)? {
        let line = text.line();
        let (len, lines) = match extent {
            Extent::Record { len, lines } => (len, lines),
            Extent::TooLong => {
                target.refuse(line, "", Cow::Owned(too_long()), "")?;
                text.skip_line()?;
                continue;
            }
        };
        let record = trim_end(text.bytes(len));
        if record.is_empty() {
            text.advance(len, lines);
            continue;
        }
        if let Err(mut reason) = fields.split(record, plain) {
            if lines > 1 {
                // Told by the line that is refused, whatever follows it.
                let first = memchr::memchr(b'\n', record).unwrap_or(record.len());
                reason = fields.split(trim_end(&record[..first]), plain).err().unwrap_or(reason);
            }
            target.refuse(line, "", Cow::Borrowed(reason), "")?;
            text.skip_line()?;
            continue;
        }
        hand_on(&fields, record, line, header, target)?;
        text.advance(len, lines);
    }
    Ok(())
}

const UNCLOSED: &str = "a quote is opened and never closed";

pub(super) fn too_long() -> String {
    format!("longer than {MAX_RECORD} bytes")
}

fn hand_on(
    fields: &Fields,
    record: &[u8],
    line: u64,
    header: &[String],
    target: &mut impl Target,
) -> Result<(), ReadError> {
    if fields.spans.len() != header.len() {
        let reason = format!("{} fields where the header has {}", fields.spans.len(), header.len());
        return target.refuse(line, "", Cow::Owned(reason), "");
    }
    let bytes = fields.bytes(record);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return target.record(line, &Row { text, spans: &fields.spans });
    }
    let broken = |span: &Range<u32>| std::str::from_utf8(&bytes[place(span)]).is_err();
    let column = fields.spans.iter().position(broken).unwrap_or_default();
    let value = String::from_utf8_lossy(&bytes[place(&fields.spans[column])]).into_owned();
    target.refuse(line, &header[column], Cow::Borrowed("not UTF-8"), &value)
}

fn read_header(text: &mut Text<'_>, fields: &mut Fields) -> Result<Vec<String>, ReadError> {
    let damaged = |line: u64, detail: &str| ReadError::Corrupt {
        place: format!("at line {line}"),
        detail: format!("the header: {detail}"),
    };
    loop {
        let line = text.line();
        let (len, lines) = match next_extent(text, false)? {
            None => return Err(damaged(line, "the file is empty")),
            Some(Extent::TooLong) => return Err(damaged(line, &too_long())),
            Some(Extent::Record { len, lines }) => (len, lines),
        };
        let record = trim_end(text.bytes(len));
        if record.is_empty() {
            text.advance(len, lines);
            continue;
        }
        fields.split(record, false).map_err(|reason| damaged(line, reason))?;
        check_count(fields.spans.len())?;
        let names = std::str::from_utf8(fields.bytes(record)).map_err(|_| damaged(line, "not UTF-8"))?;
        let names = fields.spans.iter().map(|span| names[place(span)].to_owned()).collect();
        text.advance(len, lines);
        return Ok(names);
    }
}

/// How far the record at the cursor reaches.
enum Extent {
    Record { len: usize, lines: u64 },
    TooLong,
}

/// A record ends with the first line up to which its quotes are even: in well-formed CSV every quote
/// opens or closes, so a line end after an odd number of them is part of a field. Only lines with an
/// odd number look further, and only up to the next such line, so the search stays linear. If there is
/// none, the record is its first line, which `Fields::split` refuses. `plain`: there are no quotes at all.
fn next_extent(text: &mut Text<'_>, plain: bool) -> Result<Option<Extent>, ReadError> {
    let mut first = 0;
    let (mut len, mut lines, mut odd) = (0, 0, false);
    loop {
        let end = match text.line_end(len)? {
            LineEnd::At(end) => end,
            LineEnd::NoLine if lines == 0 => return Ok(None),
            LineEnd::TooLong if lines == 0 => return Ok(Some(Extent::TooLong)),
            LineEnd::NoLine | LineEnd::TooLong => return Ok(Some(Extent::Record { len: first, lines: 1 })),
        };
        odd ^= !plain && memchr::memchr_iter(b'"', &text.bytes(end)[len..]).count() % 2 == 1;
        (len, lines) = (end, lines + 1);
        if lines == 1 {
            first = len;
        }
        if !odd {
            return Ok(Some(Extent::Record { len, lines }));
        }
    }
}

/// The fields of one record, as places in the record itself or, when any is quoted, in a copy of it
/// without the quotes.
#[derive(Default)]
struct Fields {
    spans: Vec<Range<u32>>,
    unquoted: Vec<u8>,
    quoted: bool,
}

impl Fields {
    /// What the spans are places in.
    fn bytes<'a>(&'a self, record: &'a [u8]) -> &'a [u8] {
        if self.quoted { &self.unquoted } else { record }
    }

    /// Records are capped far below 4 GiB, so places fit `u32`.
    fn split(&mut self, record: &[u8], plain: bool) -> Result<(), &'static str> {
        self.spans.clear();
        self.quoted = !plain && memchr::memchr(b'"', record).is_some();
        if self.quoted {
            return self.split_quoted(record);
        }
        let mut begin = 0;
        for comma in memchr::memchr_iter(b',', record) {
            self.spans.push(begin..comma as u32);
            begin = comma as u32 + 1;
        }
        self.spans.push(begin..record.len() as u32);
        Ok(())
    }

    fn split_quoted(&mut self, record: &[u8]) -> Result<(), &'static str> {
        self.unquoted.clear();
        let mut rest = record;
        loop {
            let begin = self.unquoted.len() as u32;
            rest = match rest.strip_prefix(b"\"") {
                Some(inner) => self.take_quoted(inner)?,
                None => self.take_plain(rest)?,
            };
            self.spans.push(begin..self.unquoted.len() as u32);
            // Keeps half a character at the end of one field apart from the other half in the next.
            self.unquoted.push(b',');
            match rest {
                [] => return Ok(()),
                [b',', after @ ..] => rest = after,
                _ => return Err("text after a closing quote"),
            }
        }
    }

    /// Copies a field up to its closing quote, and gives what follows that.
    fn take_quoted<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], &'static str> {
        loop {
            let quote = memchr::memchr(b'"', rest).ok_or(UNCLOSED)?;
            self.unquoted.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(b"\"") {
                Some(after) => rest = after,
                None => return Ok(rest),
            }
            self.unquoted.push(b'"');
        }
    }

    /// Copies a field up to its comma, and gives the comma and what follows.
    fn take_plain<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
        if memchr::memchr(b'"', &rest[..end]).is_some() {
            return Err("a quote inside a field that is not quoted");
        }
        self.unquoted.extend_from_slice(&rest[..end]);
        Ok(&rest[end..])
    }
}

fn place(span: &Range<u32>) -> Range<usize> {
    span.start as usize..span.end as usize
}

struct Row<'a> {
    text: &'a str,
    spans: &'a [Range<u32>],
}

impl Record for Row<'_> {
    fn cell(&self, column: usize) -> &str {
        &self.text[place(&self.spans[column])]
    }
}
