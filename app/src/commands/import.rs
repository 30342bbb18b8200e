//! `muster import`: sends files, follows their jobs, says what became of the rows.

use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::client::job::Job;
use crate::client::upload::{self, Format, Kind, Upload};
use crate::client::{Client, ClientArgs, follow};
use crate::failure::Failure;
use crate::show::{self, number};

#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// What the rows are about
    #[arg(long)]
    pub kind: Kind,
    /// Refuse rows of any other app; the job is then this app's
    #[arg(long)]
    pub app: Option<String>,
    /// Files to send, one after another; a name that ends in .gz is sent as gzip
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the files are written; told from their names unless given
    #[arg(long)]
    pub format: Option<Format>,
    /// Share of bad rows past which nothing is published
    #[arg(long, value_name = "0..1", value_parser = share)]
    pub reject_limit: Option<f64>,
    /// Wait until the rows are published (this is what happens anyway)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Come back as soon as the files are sent
    #[arg(long, overrides_with = "wait")]
    pub no_wait: bool,
    /// Save the reject report here; with one FILE only
    #[arg(long, value_name = "FILE", conflicts_with = "no_wait")]
    pub rejects: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1, such as 0.01 for 1 %".to_owned()),
    }
}

pub async fn run(args: ImportArgs) -> Result<(), Failure> {
    if args.rejects.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("--rejects saves one report: import the files one by one"));
    }
    let client = args.client.client()?;
    for file in &args.files {
        import(&client, &args, file).await?;
    }
    Ok(())
}

async fn import(client: &Client, args: &ImportArgs, file: &Path) -> Result<(), Failure> {
    let json = args.client.json;
    let upload = Upload {
        kind: args.kind,
        path: file,
        format: args.format,
        reject_limit: args.reject_limit,
        app: args.app.as_deref(),
    };
    let mut job = upload::send(client, &upload, json).await?;
    if !args.no_wait {
        job = follow::to_end(client, job.id(), json).await?;
    }
    if let Some(report) = &args.rejects {
        save_rejects(client, &job, report, json).await?;
    }
    if args.no_wait || job.done() {
        show::print(if json { job.raw.to_string() } else { told(client, file, &job) });
        return Ok(());
    }
    if !json && let Some(url) = rejects_url(client, &job) {
        eprintln!("{}: reject report at {url}", file.display());
    }
    Err(Failure::Job(Box::new(job)))
}

fn told(client: &Client, file: &Path, job: &Job) -> String {
    if !job.done() {
        let follow = format!("muster job watch {} --server {}", job.id(), client.server());
        return format!("{}: {} {}. Follow it: {follow}", file.display(), job.id(), job.state());
    }
    let rows = |key: &str| number::count(job.result(key));
    let mut text = format!(
        "{}: {} rows read, {} published, {} rejected ({})",
        file.display(),
        rows("rows_read"),
        rows("rows_published"),
        rows("rows_rejected"),
        job.id(),
    );
    if job.result("rows_rejected").and_then(Value::as_u64) != Some(0)
        && let Some(url) = rejects_url(client, job)
    {
        text += &format!("\n  reject report: {url}");
    }
    text
}

/// Full address of the reject report.
fn rejects_url(client: &Client, job: &Job) -> Option<String> {
    let link = job.outcome("rejects_url")?.as_str()?;
    let full = if link.starts_with('/') { format!("{}{link}", client.server()) } else { link.to_owned() };
    Some(full)
}

async fn save_rejects(client: &Client, job: &Job, to: &Path, json: bool) -> Result<(), Failure> {
    let Some(link) = job.outcome("rejects_url").and_then(Value::as_str) else {
        return Ok(());
    };
    let mut body = client.send(client.linked(link)?).await?.bytes_stream();
    let mut file = tokio::fs::File::create(to).await?;
    while let Some(chunk) = body.try_next().await.map_err(|err| client.broken(err))? {
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    if !json {
        eprintln!("reject report saved to {}", to.display());
    }
    Ok(())
}
