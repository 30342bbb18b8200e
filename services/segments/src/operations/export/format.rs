//! How exported ids are written.

use std::io::{self, Write};
use std::str::FromStr;

use super::chunks::Chunks;
use super::parquet::Table;
use crate::error::Error;

/// Between the tags of one label in a field of CSV.
const BETWEEN: &str = "|";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// `{"user_id":"…"}` a line, with groups `{"user_id":"…","group":"…"}`, with labels
    /// `{"user_id":"…","labels":{"gender":["male"]}}`.
    Ndjson,
    /// A header, then an id a line; with groups a column `group`, with labels one for each, its tags with `|` between.
    Csv,
    /// `user_id`, with groups `group`, and with labels a list of tags for each.
    Parquet,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "ndjson" => Ok(Format::Ndjson),
            "csv" => Ok(Format::Csv),
            "parquet" => Ok(Format::Parquet),
            _ => Err(()),
        }
    }
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Of a file.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// An export as it is written.
pub enum Sink {
    Ndjson { names: Vec<Vec<u8>>, out: Chunks },
    Csv { out: Chunks },
    Parquet(Box<Table>),
}

impl Sink {
    /// `grouped`: each row tells a group.
    pub fn begin(format: Format, (grouped, labels): (bool, &[&str]), mut out: Chunks) -> Result<Sink, Error> {
        match format {
            Format::Ndjson => {
                let names = labels.iter().map(|label| Ok(serde_json::to_vec(label)?));
                Ok(Sink::Ndjson { names: names.collect::<Result<_, Error>>()?, out })
            }
            Format::Csv => {
                out.out.extend_from_slice(if grouped { b"user_id,group" } else { b"user_id" });
                for label in labels {
                    out.out.push(b',');
                    write_csv(label.as_bytes(), &mut out.out);
                }
                out.out.push(b'\n');
                Ok(Sink::Csv { out })
            }
            Format::Parquet => Ok(Sink::Parquet(Box::new(Table::begin((grouped, labels), out)?))),
        }
    }

    /// `tags` by label.
    pub fn row(&mut self, user: &[u8], group: Option<&str>, tags: &[Vec<&str>]) -> Result<(), Error> {
        match self {
            Sink::Ndjson { names, out } => {
                write_json(user, group, (names, tags), &mut out.out).map_err(inside)?;
                out.send_full().map_err(inside)
            }
            Sink::Csv { out } => {
                write_id(user, &mut out.out);
                if let Some(group) = group {
                    out.out.push(b',');
                    write_csv(group.as_bytes(), &mut out.out);
                }
                for tags in tags {
                    out.out.push(b',');
                    write_csv(tags.join(BETWEEN).as_bytes(), &mut out.out);
                }
                out.out.push(b'\n');
                out.send_full().map_err(inside)
            }
            Sink::Parquet(table) => table.row(user, group, tags),
        }
    }

    pub fn end(self) -> Result<(), Error> {
        match self {
            Sink::Ndjson { mut out, .. } | Sink::Csv { mut out } => out.flush().map_err(inside),
            Sink::Parquet(table) => table.end(),
        }
    }
}

fn inside(error: io::Error) -> Error {
    Error::Inside(error.to_string())
}

fn write_json(
    user: &[u8],
    group: Option<&str>,
    (names, tags): (&[Vec<u8>], &[Vec<&str>]),
    out: &mut Vec<u8>,
) -> io::Result<()> {
    out.extend_from_slice(b"{\"user_id\":");
    if user.iter().all(|&byte| is_plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(user);
        out.push(b'"');
    } else {
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(user))?;
    }
    if let Some(group) = group {
        out.extend_from_slice(b",\"group\":");
        serde_json::to_writer(&mut *out, group)?;
    }
    if !names.is_empty() {
        let mut open: &[u8] = b",\"labels\":{";
        for (name, tags) in names.iter().zip(tags) {
            out.extend_from_slice(open);
            out.extend_from_slice(name);
            out.push(b':');
            serde_json::to_writer(&mut *out, tags)?;
            open = b",";
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn write_id(user: &[u8], out: &mut Vec<u8>) {
    if user.iter().all(|&byte| is_plain(byte)) {
        out.extend_from_slice(user);
    } else {
        write_csv(user, out);
    }
}

/// Stands for itself in both formats.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b',' | b'\\')
}

/// RFC 4180: what holds a comma, a quote or the end of a line is quoted.
pub fn write_csv(user: &[u8], out: &mut Vec<u8>) {
    if !user.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_quoted_as_the_format_needs() {
        let csv = |user: &str| {
            let mut out = Vec::new();
            write_id(user.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!([csv("42"), csv("é\\"), csv("a,\"b\"")], ["42", "é\\", "\"a,\"\"b\"\"\""]);
        let json = |user: &str, group: Option<&str>, labels: &[(&str, &[&str])]| {
            let names: Vec<Vec<u8>> =
                labels.iter().map(|(name, _)| serde_json::to_vec(name).unwrap()).collect();
            let tags: Vec<Vec<&str>> = labels.iter().map(|(_, tags)| tags.to_vec()).collect();
            let mut out = Vec::new();
            write_json(user.as_bytes(), group, (&names, &tags), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(json("9007199254740993", None, &[]), "{\"user_id\":\"9007199254740993\"}\n");
        assert_eq!(json("é\"\\", None, &[]), "{\"user_id\":\"é\\\"\\\\\"}\n");
        let labels: [(&str, &[&str]); 2] = [("a\"b", &["x", "y\""]), ("none", &[])];
        let line = json("u", Some("b \"or\" not"), &labels);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let tags = serde_json::json!({"a\"b": ["x", "y\""], "none": []});
        assert_eq!(read, serde_json::json!({"user_id": "u", "group": "b \"or\" not", "labels": tags}));
    }
}
