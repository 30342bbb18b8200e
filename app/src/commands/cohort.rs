//! `muster cohort`: size, day, version and hash of what segment runs have made.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, ClientArgs};
use crate::failure::Failure;
use crate::show::table::{Table, one_line, pad};
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct CohortArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Cohorts of an app, the newest first
    List {
        #[arg(long)]
        app: String,
        /// Made of this segment only
        #[arg(long)]
        segment: Option<String>,
    },
    /// What is known of a cohort
    Show {
        #[arg(long)]
        app: String,
        /// Id of the cohort
        #[arg(value_name = "COHORT")]
        id: String,
    },
}

pub async fn run(args: CohortArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let json = args.client.json;
    let said = match &args.action {
        Action::List { app, segment } => {
            let query: Vec<(&str, &str)> = segment.iter().map(|id| ("segment", id.as_str())).collect();
            let list = client.list(&["apps", app, "cohorts"], &query).await?;
            if json { list.to_string() } else { listed(&list) }
        }
        Action::Show { app, id } => {
            let cohort = get(&client, app, id).await?;
            if json { cohort.to_string() } else { told(&cohort) }
        }
    };
    show::print(said);
    Ok(())
}

pub async fn get(client: &Client, app: &str, id: &str) -> Result<Value, Failure> {
    client.json(client.request(Method::GET, &["apps", app, "cohorts", id])?).await
}

fn listed(list: &Value) -> String {
    let mut table = Table::new(&["ID", "SEGMENT", "VERSION", "DS", "USERS", "CREATED"]);
    for cohort in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let [id, segment, version, ds, created] =
            ["id", "segment_id", "segment_version", "ds", "created_at"].map(|key| text(cohort, key));
        table.row(vec![id, segment, version, ds, number::count(cohort.get("size")), created]);
    }
    table.to_text()
}

/// A line for each plain member, then the rule as a tree.
fn told(cohort: &Value) -> String {
    let members = cohort.as_object().into_iter().flatten();
    let plain = members.filter(|(_, value)| !value.is_object() && !value.is_array());
    let mut lines: Vec<String> = plain
        .map(|(key, value)| match key.as_str() {
            "size" | "universe_count" => format!("{}{}", pad(key, 18), number::count(Some(value))),
            _ => format!("{}{}", pad(key, 18), one_line(&text(cohort, key))),
        })
        .collect();
    if let Some(rule) = cohort.get("rule") {
        lines.push(format!("\n{}", show::rule::bare(rule)));
    }
    lines.join("\n")
}
