//! Streams a cohort's user ids: no cap, flat memory.

use std::io;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use muster_profile_store::{CohortFile, Place, Snapshot, StoreError};
use tokio::sync::mpsc::Sender;

use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::instruments;

/// Bytes sent at once.
const CHUNK: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// `{"user_id":"…"}` a line.
    Ndjson,
    /// The header `user_id`, then an id a line.
    Csv,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "ndjson" => Ok(Format::Ndjson),
            "csv" => Ok(Format::Csv),
            _ => Err(()),
        }
    }
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }

    fn write(self, user: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let plain = user.iter().all(|&byte| is_plain(byte));
        match self {
            Format::Ndjson => {
                out.extend_from_slice(b"{\"user_id\":");
                if plain {
                    out.push(b'"');
                    out.extend_from_slice(user);
                    out.push(b'"');
                } else {
                    serde_json::to_writer(&mut *out, &String::from_utf8_lossy(user))?;
                }
                out.extend_from_slice(b"}\n");
            }
            Format::Csv => {
                if plain {
                    out.extend_from_slice(user);
                } else {
                    write_csv(user, out);
                }
                out.push(b'\n');
            }
        }
        Ok(())
    }
}

/// Stands for itself in both formats.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b',' | b'\\')
}

/// RFC 4180: an id that holds a comma or a quote is quoted; line breaks are in no id.
pub fn write_csv(user: &[u8], out: &mut Vec<u8>) {
    if !user.iter().any(|byte| matches!(byte, b',' | b'"')) {
        return out.extend_from_slice(user);
    }
    out.push(b'"');
    for &byte in user {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A cohort opened for export.
pub struct Export {
    file: CohortFile,
    snapshot: Arc<Snapshot>,
    format: Format,
}

/// Opens everything first, so that what can't be exported is an error and no torn stream.
pub fn export(segments: &Segments, cohort: &Cohort, format: Format) -> Result<Export, Error> {
    let snapshot = snapshot(segments, &cohort.app_id)?;
    let file = super::members::file(segments, &cohort.app_id, &cohort.id)?;
    Ok(Export { file, snapshot, format })
}

impl Export {
    /// Sends the ids in chunks, bucket by bucket, until all are sent or nobody listens any more. Blocks.
    pub fn run(self, to: &Sender<io::Result<Bytes>>) {
        if let Err(error) = self.send(to) {
            tracing::error!(%error, "an export broke off");
            // The connection is cut, so that the client does not take a part for the whole.
            let _ = to.blocking_send(Err(io::Error::other("the export broke off")));
        }
    }

    fn send(&self, to: &Sender<io::Result<Bytes>>) -> Result<(), Error> {
        let mut out = Vec::with_capacity(CHUNK + 1024);
        if self.format == Format::Csv {
            out.extend_from_slice(b"user_id\n");
        }
        let mut users = 0;
        for bucket in 0..self.file.meta().buckets {
            let Some(members) = self.file.members(bucket)? else { continue };
            let mut ids = self.snapshot.directory().ids(bucket);
            for (key, container) in members.containers() {
                let mut failed = Ok(());
                let mut gone = false;
                container.for_each(|position| {
                    if failed.is_err() || gone {
                        return;
                    }
                    let ordinal = u32::from(key) << 16 | u32::from(position);
                    failed = self.write(ids.user(ordinal), Place { bucket, ordinal }, &mut out);
                    users += 1;
                    if out.len() >= CHUNK {
                        let chunk = std::mem::replace(&mut out, Vec::with_capacity(CHUNK + 1024));
                        gone = to.blocking_send(Ok(chunk.into())).is_err();
                    }
                });
                failed?;
                if gone {
                    return Ok(());
                }
            }
        }
        let _ = to.blocking_send(Ok(out.into()));
        instruments::exported(users);
        Ok(())
    }

    fn write(&self, user: Option<&[u8]>, place: Place, out: &mut Vec<u8>) -> Result<(), Error> {
        let user = user.ok_or_else(|| {
            let what = format!("bucket {} has no user {}", place.bucket, place.ordinal);
            Error::Store(StoreError::Full(what))
        })?;
        self.format.write(user, out).map_err(|error| Error::Inside(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_quoted_as_the_format_needs() {
        let check = |format: Format, user: &str, expected: &str| {
            let mut out = Vec::new();
            format.write(user.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(Format::Csv, "42", "42\n");
        check(Format::Csv, "é\\", "é\\\n");
        check(Format::Csv, "a,\"b\"", "\"a,\"\"b\"\"\"\n");
        check(Format::Ndjson, "9007199254740993", "{\"user_id\":\"9007199254740993\"}\n");
        check(Format::Ndjson, "é\"\\", "{\"user_id\":\"é\\\"\\\\\"}\n");
    }
}
