//! A window over decompressed text that always holds the current record as one slice, and no more than
//! a bounded part of the file: the common ground of CSV and NDJSON.

use std::io::Read;

use super::source::failed;
use super::{Intake, ReadError};

/// Longest record, in bytes, line ends included.
pub(super) const MAX_RECORD: usize = 1 << 20;
/// Read at most this much before asking whether to stop: a few thousand rows.
const STEP: usize = 256 * 1024;

/// Where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// Offset from the cursor just past the line's `\n`, or past the last byte of the text.
    At(usize),
    /// Not within [`MAX_RECORD`] bytes from the cursor.
    TooLong,
    /// The text ends where the line would begin.
    NoLine,
}

pub(super) struct Text<'a> {
    input: Box<dyn Read + 'a>,
    stopped: &'a (dyn Fn() -> bool + Sync),
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    line: u64,
}

impl<'a> Text<'a> {
    /// Begins after a byte order mark, if there is one.
    pub fn new(input: Box<dyn Read + 'a>, intake: &Intake<'a>) -> Result<Text<'a>, ReadError> {
        let buffer = vec![0; MAX_RECORD + STEP];
        let mut text =
            Text { input, stopped: intake.stopped, buffer, start: 0, end: 0, ended: false, line: 1 };
        while text.end < 3 && text.fill()? {}
        if text.buffer[..text.end].starts_with(b"\xef\xbb\xbf") {
            text.start = 3;
        }
        Ok(text)
    }

    /// Some whole records, the first of which begins with line `line`.
    pub fn of_records(records: Vec<u8>, line: u64) -> Text<'static> {
        Text {
            input: Box::new(std::io::empty()),
            stopped: &|| false,
            end: records.len(),
            buffer: records,
            start: 0,
            ended: true,
            line,
        }
    }

    /// The memory of the records.
    pub fn into_records(self) -> Vec<u8> {
        self.buffer
    }

    /// What was read from the cursor on.
    pub fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Number of the line at the cursor, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Where the line that begins `from` bytes after the cursor ends.
    pub fn line_end(&mut self, from: usize) -> Result<LineEnd, ReadError> {
        let mut searched = from;
        loop {
            let window = &self.buffer[self.start..self.end];
            let found = memchr::memchr(b'\n', &window[searched..]).map(|at| searched + at + 1);
            match found {
                Some(end) if end > MAX_RECORD => return Ok(LineEnd::TooLong),
                Some(end) => return Ok(LineEnd::At(end)),
                None if window.len() > MAX_RECORD => return Ok(LineEnd::TooLong),
                None => searched = window.len(),
            }
            if self.fill()? {
                continue;
            }
            return Ok(if searched == from { LineEnd::NoLine } else { LineEnd::At(searched) });
        }
    }

    /// The next `len` bytes, which a [`LineEnd::At`] has shown to be there.
    pub fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[self.start..self.start + len]
    }

    /// Moves the cursor over `len` bytes that hold `lines` lines.
    pub fn advance(&mut self, len: usize, lines: u64) {
        self.start += len;
        self.line += lines;
    }

    /// Moves the cursor past the end of the line, however long it is.
    pub fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            let window = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', window) {
                self.advance(at + 1, 1);
                return Ok(());
            }
            self.start = self.end;
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Reads on; false at the end of the text. The window never grows past the buffer, because no
    /// caller asks for more once it holds more than [`MAX_RECORD`] bytes.
    fn fill(&mut self) -> Result<bool, ReadError> {
        if self.ended {
            return Ok(false);
        }
        if (self.stopped)() {
            return Err(ReadError::Stopped);
        }
        if self.end + STEP > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = self.end..self.buffer.len().min(self.end + STEP);
        let line = self.line;
        let n = loop {
            match self.input.read(&mut self.buffer[room.clone()]) {
                Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        }
        .map_err(|err| failed(err, || format!("after line {line}")))?;
        self.end += n;
        self.ended = n == 0;
        Ok(n > 0)
    }
}

/// A line without its `\n`, and without a `\r` before it.
pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
