//! Streams a file to the server: an import, or the ids of a list.

use std::path::Path;

use clap::ValueEnum;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use reqwest::{Body, Method};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::job::Job;
use super::{Client, PATIENCE, idempotency};
use crate::failure::Failure;
use crate::show::bar;

const CHUNK: usize = 256 << 10;

/// What the rows of a file are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Labels,
    Behavior,
    Events,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Labels => "labels",
            Kind::Behavior => "behavior",
            Kind::Events => "events",
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Parquet,
    Ndjson,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Ndjson => "application/x-ndjson",
        }
    }
}

/// One file to send.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    pub kind: Kind,
    pub path: &'a Path,
    /// `None`: told from the file's name.
    pub format: Option<Format>,
    /// Share of bad rows, 0 to 1, past which nothing is published; `None`: the server's own.
    pub reject_limit: Option<f64>,
    /// `None`: rows of any app that the key has.
    pub app: Option<&'a str>,
}

/// The format and whether it is gzipped, as the file's name says.
fn named(path: &Path) -> (Option<Format>, bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (name, gzip) = match name.strip_suffix(".gz") {
        Some(inner) => (inner, true),
        None => (name.as_str(), false),
    };
    let format = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Some(Format::Csv),
        Some("parquet") => Some(Format::Parquet),
        Some("ndjson" | "jsonl") => Some(Format::Ndjson),
        _ => None,
    };
    (format, gzip)
}

/// Sends the file; the import's job, as it was accepted.
///
/// # Errors
/// [`Failure::Interrupted`] on Ctrl-C: a file that has not come whole is not imported.
pub async fn send(client: &Client, upload: &Upload<'_>, quiet: bool) -> Result<Job, Failure> {
    let mut query = vec![("kind", upload.kind.name().to_owned())];
    query.extend(upload.path.file_name().map(|name| ("file", name.to_string_lossy().into_owned())));
    query.extend(upload.app.map(|app| ("app", app.to_owned())));
    query.extend(upload.reject_limit.map(|limit| ("reject_limit", limit.to_string())));
    let to = To { path: &["imports"], query, format: upload.format };
    Ok(Job { raw: job_in(send_file(client, upload.path, &to, quiet).await?) })
}

/// Where a file goes.
pub struct To<'a> {
    pub path: &'a [&'a str],
    pub query: Vec<(&'a str, String)>,
    /// `None`: told from the file's name.
    pub format: Option<Format>,
}

/// Sends the file, again when the server asks for time, and answers what it says.
///
/// # Errors
/// [`Failure::Interrupted`] on Ctrl-C: a file that has not come whole does not count.
pub async fn send_file(client: &Client, path: &Path, to: &To<'_>, quiet: bool) -> Result<Value, Failure> {
    let (name, key) = idempotency();
    let sending = async {
        for _ in 0..PATIENCE {
            match send_once(client, path, to, (&name, &key), quiet).await {
                Err(Failure::Refused(refusal)) if refusal.retry_after.is_some() => {
                    tokio::time::sleep(refusal.retry_after.unwrap_or_default()).await;
                }
                answer => return answer,
            }
        }
        send_once(client, path, to, (&name, &key), quiet).await
    };
    tokio::select! {
        sent = sending => sent,
        _ = tokio::signal::ctrl_c() => {
            let detail = format!("{} may not have been sent whole: look at what is there", path.display());
            Err(Failure::Interrupted(detail))
        }
    }
}

async fn send_once(
    client: &Client,
    path: &Path,
    to: &To<'_>,
    (name, key): (&HeaderName, &str),
    quiet: bool,
) -> Result<Value, Failure> {
    let shown = path.display();
    let (format, gzip) = named(path);
    let Some(format) = to.format.or(format) else {
        let detail = "its name does not end in .csv, .parquet or .ndjson: say its --format";
        return Err(Failure::usage(format!("can't tell the format of `{shown}`: {detail}")));
    };
    let unreadable = |err| Failure::usage(format!("can't read `{shown}`: {err}"));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    let bar = bar::bytes(size, format!("sending {shown}"), quiet);
    let body = Body::wrap_stream(ReaderStream::with_capacity(bar.wrap_async_read(file), CHUNK));
    let mut request = client
        .request(Method::POST, to.path)?
        .query(&to.query)
        .header(name, key)
        .header(CONTENT_TYPE, format.content_type())
        .header(CONTENT_LENGTH, size)
        .body(body);
    if gzip {
        request = request.header(CONTENT_ENCODING, "gzip");
    }
    let answer = client.json(request).await;
    bar.finish_and_clear();
    answer
}

/// The job of a 202: the answer itself, or its member `job`.
pub fn job_in(mut answer: Value) -> Value {
    match answer.get_mut("job") {
        Some(job) if job.is_object() => job.take(),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        let check = |name: &str, format, gzip| assert_eq!(named(Path::new(name)), (format, gzip), "{name}");
        check("a/labels.csv", Some(Format::Csv), false);
        check("labels.CSV.GZ", Some(Format::Csv), true);
        check("b.20261101.parquet", Some(Format::Parquet), false);
        check("events.jsonl.gz", Some(Format::Ndjson), true);
        check("events.json", None, false);
        check("csv", None, false);
    }
}
