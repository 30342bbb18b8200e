//! `muster export`: streams the user ids of a cohort, and checks that all of them came.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

use super::cohort;
use crate::client::{Client, ClientArgs};
use crate::failure::Failure;
use crate::show::{self, bar, number};

#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long)]
    pub app: String,
    /// Id of the cohort
    pub cohort: String,
    #[arg(long, default_value = "ndjson")]
    pub format: Format,
    /// By id or name, with commas between: what users carry of these stands beside their ids
    #[arg(long)]
    pub labels: Option<String>,
    /// File to write; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Ndjson,
    Csv,
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// What a Parquet file ends in.
const MARK: &[u8] = b"PAR1";

/// What is to be exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub app: &'a str,
    pub cohort: &'a str,
    pub format: Format,
    pub labels: Option<&'a str>,
}

/// What has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub ids: u64,
    pub bytes: u64,
}

pub async fn run(args: ExportArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let begun = Instant::now();
    let quiet = args.client.json;
    let labels = args.labels.as_deref();
    let wanted = Wanted { app: &args.app, cohort: &args.cohort, format: args.format, labels };
    let done = match &args.output {
        Some(path) => to_file(&client, wanted, path, quiet).await?,
        // A bar would run through what is printed.
        None => to_writer(&client, wanted, &mut tokio::io::stdout(), true).await?,
    };
    let to = args.output.as_ref().map(|path| path.display().to_string());
    let told = if args.client.json {
        json!({ "cohort_id": args.cohort, "ids": done.ids, "bytes": done.bytes, "file": to }).to_string()
    } else {
        let (ids, bytes) = (number::grouped(done.ids), number::grouped(done.bytes));
        let to = to.as_deref().unwrap_or("standard output");
        format!("{ids} ids, {bytes} bytes to {to} in {}", number::took(begun.elapsed()))
    };
    match &args.output {
        Some(_) => show::print(told),
        None => eprintln!("{told}"),
    }
    Ok(())
}

/// The file appears when it is whole, and not before.
pub async fn to_file(
    client: &Client,
    wanted: Wanted<'_>,
    path: &Path,
    quiet: bool,
) -> Result<Exported, Failure> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let mut file = BufWriter::new(tokio::fs::File::create(&aside).await?);
    let done = to_writer(client, wanted, &mut file, quiet).await;
    if done.is_err() {
        // What has come is of no use; the failure is what matters.
        let _ = tokio::fs::remove_file(&aside).await;
        return done;
    }
    tokio::fs::rename(&aside, path).await?;
    done
}

/// # Errors
/// A stream that breaks off, and one that does not hold as many ids as the cohort has.
pub async fn to_writer(
    client: &Client,
    Wanted { app, cohort, format, labels }: Wanted<'_>,
    to: &mut (impl AsyncWrite + Unpin),
    quiet: bool,
) -> Result<Exported, Failure> {
    let size = cohort::get(client, app, cohort).await?.get("size").and_then(Value::as_u64);
    let request = client.request(Method::GET, &["apps", app, "cohorts", cohort, "users"])?;
    let mut query = vec![("format", format.name())];
    query.extend(labels.map(|labels| ("labels", labels)));
    let mut body = client.send(request.query(&query)).await?.bytes_stream();
    let bar = bar::count(size.unwrap_or_default(), format!("exporting {cohort}"), quiet);
    // No user id and no tag holds a line end, so that lines are ids. A table ends in a mark, and with it is whole.
    let (mut lines, mut bytes, mut end) = (0, 0, Vec::new());
    while let Some(chunk) = body.try_next().await.map_err(|err| client.broken(err))? {
        to.write_all(&chunk).await?;
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += chunk.len() as u64;
        end.extend_from_slice(&chunk[chunk.len().saturating_sub(MARK.len())..]);
        end.drain(..end.len().saturating_sub(MARK.len()));
        bar.set_position(if format == Format::Parquet { 0 } else { lines });
    }
    to.flush().await?;
    bar.finish_and_clear();
    let ids = match format {
        Format::Csv => lines.saturating_sub(1),
        Format::Ndjson => lines,
        Format::Parquet if end == MARK => size.unwrap_or_default(),
        Format::Parquet => 0,
    };
    match size {
        Some(size) if size != ids => {
            Err(anyhow::anyhow!("the cohort has {size} users, but {ids} ids came").into())
        }
        _ => Ok(Exported { ids, bytes }),
    }
}
