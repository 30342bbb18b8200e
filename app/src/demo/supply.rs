//! Brings the shop into a server: makes the files, sends them, waits until all of it is published.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::files::{self, Made, Recipe};
use super::shop::APP;
use crate::client::job::Job;
use crate::client::upload::{self, Kind, Upload};
use crate::client::{Client, follow};
use crate::failure::Failure;
use crate::show::bar;

/// Rows of one kind, and how long they took from the first byte sent to the last one published.
#[derive(Debug, Clone, Copy)]
pub struct Supplied {
    pub rows: u64,
    pub took: Duration,
}

/// Writes the files into `dir`, which is made when it is missing.
pub async fn make(recipe: Recipe, dir: &Path, quiet: bool) -> Result<Made, Failure> {
    std::fs::create_dir_all(dir)?;
    let dir = dir.to_owned();
    let bar = bar::count(recipe.users, "making users".to_owned(), quiet);
    let drawn = bar.clone();
    let written =
        tokio::task::spawn_blocking(move || files::write(&recipe, &dir, |done| drawn.set_position(done)));
    let made = written.await.map_err(anyhow::Error::from)??;
    bar.finish_and_clear();
    Ok(made)
}

/// Behaviour and then labels: users who do something then stand close together in the store.
pub async fn import(client: &Client, made: &Made, quiet: bool) -> Result<[(Kind, Supplied); 2], Failure> {
    let behavior: Vec<&Path> = made.behavior.iter().map(AsRef::as_ref).collect();
    let behavior = files_of(client, Kind::Behavior, &behavior, quiet).await?;
    let labels = files_of(client, Kind::Labels, &[&made.labels], quiet).await?;
    Ok([(Kind::Behavior, behavior), (Kind::Labels, labels)])
}

async fn files_of(client: &Client, kind: Kind, files: &[&Path], quiet: bool) -> Result<Supplied, Failure> {
    let begun = Instant::now();
    let mut jobs = Vec::with_capacity(files.len());
    for path in files {
        let upload = Upload { kind, path, format: None, reject_limit: Some(0.0), app: Some(APP) };
        jobs.push(upload::send(client, &upload, quiet).await?);
    }
    let mut rows = 0;
    for job in jobs {
        rows += published(&follow::to_success(client, job.id(), quiet).await?);
    }
    Ok(Supplied { rows, took: begun.elapsed() })
}

fn published(job: &Job) -> u64 {
    job.result("rows_published").and_then(Value::as_u64).unwrap_or_default()
}
