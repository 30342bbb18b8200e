//! `muster job`: what the server works on.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::client::job::Job;
use crate::client::upload::job_in;
use crate::client::{ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::table::{Table, one_line};
use crate::show::{self, text};

#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// One job as it is now
    Show { id: String },
    /// Jobs, the newest first
    List {
        /// Of this app only
        #[arg(long)]
        app: Option<String>,
        /// In this state only: queued, running, done, failed or cancelled
        #[arg(long)]
        state: Option<String>,
    },
    /// Stop a job
    Cancel { id: String },
    /// Follow a job to its end
    Watch { id: String },
}

pub async fn run(args: JobArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let json = args.client.json;
    match &args.action {
        Action::Show { id } => say(json, &follow::job(&client, id).await?),
        Action::List { app, state } => {
            let filters = [("app", app), ("state", state)];
            let query: Vec<(&str, &str)> =
                filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let list = client.list(&["jobs"], &query).await?;
            show::print(if json { list.to_string() } else { listed(&list) });
        }
        Action::Cancel { id } => {
            let (name, key) = idempotency();
            let request = client.request(Method::POST, &["jobs", id, "cancel"])?.header(name, key);
            say(json, &Job { raw: job_in(client.json(request).await?) });
        }
        Action::Watch { id } => say(json, &follow::to_success(&client, id, json).await?),
    }
    Ok(())
}

fn say(json: bool, job: &Job) {
    show::print(if json { job.raw.to_string() } else { told(job) });
}

fn told(job: &Job) -> String {
    let mut lines = vec![format!("{}  {}", job.ending(), job.text("kind"))];
    match (job.state(), job.position()) {
        ("queued", Some(before)) => lines.push(format!("{before} jobs go first")),
        ("running", _) => lines.push(format!("{:.0} %", job.progress() * 100.0)),
        _ => {}
    }
    for key in ["app_id", "owner", "attempt", "created_at", "started_at", "finished_at"] {
        let value = text(&job.raw, key);
        if !value.is_empty() {
            lines.push(format!("{key}: {value}"));
        }
    }
    if let Some(Value::Object(result)) = job.raw.get("result") {
        let members = result.keys().map(|key| format!("  {key}: {}", text(&job.raw["result"], key)));
        lines.extend(members);
    }
    lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n")
}

fn listed(list: &Value) -> String {
    let mut table = Table::new(&["ID", "KIND", "APP", "STATE", "PROGRESS", "CREATED", "CAUSE"]);
    for raw in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let job = Job { raw: raw.clone() };
        let cause = raw.get("error").map(|error| text(error, "detail")).unwrap_or_default();
        let progress = format!("{:.0} %", job.progress() * 100.0);
        let [id, kind, app, state, created] =
            ["id", "kind", "app_id", "state", "created_at"].map(|key| text(raw, key));
        table.row(vec![id, kind, app, state, progress, created, cause]);
    }
    table.to_text()
}
