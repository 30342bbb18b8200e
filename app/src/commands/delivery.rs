//! `muster delivery`: cohorts brought to where they are needed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::download::{self, Wanted};
use crate::client::job::Job;
use crate::client::upload::job_in;
use crate::client::{Client, ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct DeliveryArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Deliver a cohort, or the groups of an experiment, by a job
    Send {
        #[arg(long)]
        app: String,
        /// A cohort, or a segment or list, of which the newest is meant, or an experiment
        #[arg(value_name = "COHORT")]
        of: String,
        /// Name of the destination; what goes to `download` is kept by the server for a while
        #[arg(long, default_value = "download")]
        to: String,
        /// Of a download: fetch it, too, into this file or folder
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Only who entered or left since the last delivery there
        #[arg(long)]
        changes: bool,
        /// With --changes: since this cohort
        #[arg(long, value_name = "COHORT", requires = "changes")]
        since: Option<String>,
        #[arg(long, default_value = "ndjson", value_parser = ["ndjson", "csv", "parquet"])]
        format: String,
        /// Labels by id or name, with commas between, to stand beside each id
        #[arg(long)]
        labels: Option<String>,
    },
    /// Fetch the files of a download
    Fetch {
        #[arg(long)]
        app: String,
        /// Id of the delivery
        #[arg(value_name = "DELIVERY")]
        id: String,
        /// File or folder to write
        #[arg(short, long, value_name = "PATH")]
        output: PathBuf,
    },
    /// Deliveries of an app, the newest first
    All {
        #[arg(long)]
        app: String,
    },
    /// A delivery, with its manifest
    Show {
        #[arg(long)]
        app: String,
        /// Id of the delivery
        #[arg(value_name = "DELIVERY")]
        id: String,
    },
    /// Where the app may deliver to
    Destinations {
        #[arg(long)]
        app: String,
    },
}

pub async fn run(args: DeliveryArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let quiet = args.client.json;
    let answer = match &args.action {
        Action::Send { .. } => send(&client, &args.action, quiet).await?,
        Action::Fetch { app, id, output } => {
            let answer = client.json(client.request(Method::GET, &["apps", app, "deliveries", id])?).await?;
            let told = answer.get("manifest").filter(|told| told.is_object());
            let told = told.ok_or_else(|| {
                Failure::usage(format!("it is not done yet: muster job watch {}", text(&answer, "job_id")))
            })?;
            fetch(&client, (app, id), told, output, quiet).await?;
            answer
        }
        Action::All { app } => client.list(&["apps", app, "deliveries"], &[]).await?,
        Action::Show { app, id } => {
            client.json(client.request(Method::GET, &["apps", app, "deliveries", id])?).await?
        }
        Action::Destinations { app } => {
            client.json(client.request(Method::GET, &["apps", app, "destinations"])?).await?
        }
    };
    show::print(match &args.action {
        _ if quiet => answer.to_string(),
        Action::Send { .. } => manifest(answer.get("result").unwrap_or(&Value::Null)),
        Action::All { .. } => listed(&answer),
        Action::Show { .. } | Action::Fetch { .. } => match answer.get("manifest") {
            Some(told) if told.is_object() => match text(&answer, "removed_at") {
                at if at.is_empty() => manifest(told),
                at => format!("its files were removed at {at}\n{}", manifest(told)),
            },
            _ => format!("it is not done yet: muster job watch {}", text(&answer, "job_id")),
        },
        Action::Destinations { .. } => destinations(&answer),
    });
    Ok(())
}

/// The job once it is done.
async fn send(client: &Client, action: &Action, quiet: bool) -> Result<Value, Failure> {
    let Action::Send { app, of, to, output, changes, since, format, labels } = action else {
        return Ok(Value::Null);
    };
    if let Some(output) = output {
        if to != "download" {
            return Err(Failure::usage(
                "only a download can be fetched: leave out --to or --output".to_owned(),
            ));
        }
        if *changes && !output.is_dir() {
            let output = output.display();
            return Err(Failure::usage(format!("changes are several files, and {output} is no folder")));
        }
    }
    let labels: Vec<&str> = labels.iter().flat_map(|labels| labels.split(',')).map(str::trim).collect();
    let mode = if *changes { "changes" } else { "full" };
    let body = json!({
        "of": of, "destination": to, "mode": mode, "since": since, "format": format, "labels": labels,
    });
    let (header, key) = idempotency();
    let request = client.request(Method::POST, &["apps", app, "deliveries"])?.header(header, key);
    let answer = client.json(request.json(&body)).await?;
    let delivery = text(&answer, "delivery_id");
    let job = Job { raw: job_in(answer) };
    let done = follow::to_success(client, job.id(), quiet).await?.raw;
    if let (Some(output), Some(told)) = (output, done.get("result")) {
        fetch(client, (app, &delivery), told, output, quiet).await?;
    }
    Ok(done)
}

/// Several files need a folder.
async fn fetch(
    client: &Client,
    (app, delivery): (&str, &str),
    manifest: &Value,
    output: &Path,
    quiet: bool,
) -> Result<(), Failure> {
    let parts = manifest.get("parts").and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<&Value> = parts.collect();
    if parts.len() > 1 && !output.is_dir() {
        let output = output.display();
        return Err(Failure::usage(format!("{output} is no folder, and there are {} files", parts.len())));
    }
    for part in parts {
        let path = download::fetch(client, &Wanted { app, delivery, part }, output, quiet).await?;
        if !quiet {
            show::print(format!("{} users to {}", number::count(part.get("users")), path.display()));
        }
    }
    Ok(())
}

fn manifest(told: &Value) -> String {
    let mut table = Table::new(&["WHAT", "USERS", "BYTES", "FILE OR BATCHES", "SHA-256"]);
    for part in told.get("parts").and_then(Value::as_array).into_iter().flatten() {
        let file = text(part, "file");
        table.row(vec![
            text(part, "what"),
            number::count(part.get("users")),
            number::count(part.get("bytes")),
            if file.is_empty() { text(part, "batches") } else { file },
            text(part, "sha256"),
        ]);
    }
    let [cohort, of, ds, hash] = ["cohort_id", "of", "ds", "hash"].map(|key| text(told, key));
    let who = match cohort.is_empty() {
        true => format!("groups of {of}, version {}, of {ds}", number::count(told.get("version"))),
        false => format!("{cohort} of {ds}, {hash}"),
    };
    let since = match text(told, "since") {
        since if since.is_empty() => String::new(),
        since => format!(", changes since {since}"),
    };
    let users = number::count(told.get("users"));
    format!("{who}, {users} users{since}\n{}{}", groups(told), table.to_text())
}

/// Nothing where there are none.
fn groups(told: &Value) -> String {
    let groups = told.get("groups").and_then(Value::as_array).filter(|groups| !groups.is_empty());
    let Some(groups) = groups else { return String::new() };
    let mut table = Table::new(&["GROUP", "USERS", "COHORT", "HASH"]);
    for group in groups {
        let [name, cohort, hash] = ["name", "cohort_id", "hash"].map(|key| text(group, key));
        table.row(vec![name, number::count(group.get("users")), cohort, hash]);
    }
    format!("{}\n", table.to_text())
}

fn listed(answer: &Value) -> String {
    let mut table = Table::new(&["ID", "OF", "TO", "MODE", "JOB", "CREATED", "FINISHED"]);
    for delivery in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let keys = ["id", "of", "destination", "mode", "job_id", "created_at", "finished_at"];
        table.row(keys.map(|key| text(delivery, key)).to_vec());
    }
    table.to_text()
}

fn destinations(answer: &Value) -> String {
    let mut table = Table::new(&["NAME", "KIND"]);
    for destination in answer.as_array().into_iter().flatten() {
        table.row(vec![text(destination, "name"), text(destination, "kind")]);
    }
    table.to_text()
}
