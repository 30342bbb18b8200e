//! `muster erase`: users are forgotten.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Erase users from labels, behaviour, cohorts, lists and experiments, by a job
    Users {
        #[arg(long)]
        app: String,
        /// Ids of users
        #[arg(value_name = "USER", required_unless_present = "file")]
        users: Vec<String>,
        /// A file with an id in each line; - reads standard input
        #[arg(long, conflicts_with = "users")]
        file: Option<PathBuf>,
    },
    /// Erasures of an app, the newest first: how many, never who
    All {
        #[arg(long)]
        app: String,
    },
}

pub async fn run(args: EraseArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let quiet = args.client.json;
    let answer = match &args.action {
        Action::Users { app, users, file } => {
            let users = match file {
                Some(file) => lines(file)?,
                None => users.clone(),
            };
            erase(&client, app, &users, quiet).await?
        }
        Action::All { app } => client.list(&["apps", app, "erasures"], &[]).await?,
    };
    show::print(match &args.action {
        _ if quiet => answer.to_string(),
        Action::Users { .. } => erased(&answer),
        Action::All { .. } => listed(&answer),
    });
    Ok(())
}

fn lines(file: &PathBuf) -> Result<Vec<String>, Failure> {
    let mut all = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut all).map(drop)
    } else {
        std::fs::read_to_string(file).map(|text| all = text)
    };
    read.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok(all.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The erasure once it is done.
async fn erase(client: &Client, app: &str, users: &[String], quiet: bool) -> Result<Value, Failure> {
    let (header, key) = idempotency();
    let request = client.request(Method::POST, &["apps", app, "erasures"])?.header(header, key);
    let accepted = client.json(request.json(&json!({ "users": users }))).await?;
    follow::to_success(client, &text(&accepted, "job_id"), quiet).await?;
    let id = text(&accepted, "id");
    client.json(client.request(Method::GET, &["apps", app, "erasures", &id])?).await
}

fn erased(told: &Value) -> String {
    let [asked, known, labels, events] =
        ["asked", "known", "label_days", "event_days"].map(|key| number::count(told.get(key)));
    format!(
        "{known} of {asked} users were known and are erased: {labels} days of labels and {events} of events are \
         written anew"
    )
}

fn listed(all: &Value) -> String {
    let mut table = Table::new(&["ERASURE", "ASKED", "KNOWN", "BY", "REQUESTED", "FINISHED"]);
    for told in all.get("items").and_then(Value::as_array).into_iter().flatten() {
        table.row(vec![
            text(told, "id"),
            number::count(told.get("asked")),
            number::count(told.get("known")),
            text(told, "requested_by"),
            text(told, "requested_at"),
            text(told, "finished_at"),
        ]);
    }
    table.to_text()
}
