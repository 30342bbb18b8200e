//! `muster list`: users by their uploaded ids.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::upload::{Format, To, send_file};
use crate::client::{Client, ClientArgs, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Begin a list, with nobody on it
    Create {
        #[arg(long)]
        app: String,
        #[arg(long)]
        name: String,
    },
    /// All lists of an app
    All {
        #[arg(long)]
        app: String,
    },
    /// What uploads left, the newest first
    Versions(One),
    /// Put the users of a file on the list
    Add(FromFile),
    /// Take the users of a file off the list
    Remove(FromFile),
    /// Have the users of a file on the list, and nobody else
    Replace(FromFile),
    /// Delete a list
    Delete(One),
}

#[derive(Debug, Clone, Args)]
struct One {
    #[arg(long)]
    app: String,
    /// Id of the list
    #[arg(value_name = "LIST")]
    id: String,
}

#[derive(Debug, Clone, Args)]
struct FromFile {
    #[command(flatten)]
    one: One,
    /// CSV with the column `user_id`, or NDJSON with a `user_id` a line; may end in .gz
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// When the file's name does not tell
    #[arg(long)]
    format: Option<Format>,
    /// Share of rows without an id, 0 to 1, past which nothing of the file counts [server: 0.01]
    #[arg(long, value_name = "SHARE")]
    reject_limit: Option<f64>,
}

pub async fn run(args: ListArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let json = args.client.json;
    let answer = match &args.action {
        Action::Create { app, name } => {
            let (header, key) = idempotency();
            let request = client.request(Method::POST, &["apps", app, "lists"])?.header(header, key);
            client.json(request.json(&json!({ "name": name }))).await?
        }
        Action::All { app } => client.list(&["apps", app, "lists"], &[]).await?,
        Action::Versions(one) => client.list(&["apps", &one.app, "lists", &one.id, "versions"], &[]).await?,
        Action::Add(file) => upload(&client, file, "add", json).await?,
        Action::Remove(file) => upload(&client, file, "remove", json).await?,
        Action::Replace(file) => upload(&client, file, "replace", json).await?,
        Action::Delete(one) => {
            let (header, key) = idempotency();
            let request = client.request(Method::DELETE, &["apps", &one.app, "lists", &one.id])?;
            client.send(request.header(header, key)).await?;
            json!({ "id": one.id, "deleted": true })
        }
    };
    show::print(match &args.action {
        _ if json => answer.to_string(),
        Action::Create { .. } => format!("{} has nobody on it yet", text(&answer, "id")),
        Action::All { .. } => lists(&answer),
        Action::Versions(_) => versions(&answer),
        Action::Add(_) | Action::Remove(_) | Action::Replace(_) => uploaded(&answer),
        Action::Delete(one) => format!("{} is deleted", one.id),
    });
    Ok(())
}

async fn upload(client: &Client, from: &FromFile, mode: &str, quiet: bool) -> Result<Value, Failure> {
    let mut query = vec![("mode", mode.to_owned())];
    query.extend(from.reject_limit.map(|limit| ("reject_limit", limit.to_string())));
    let path = ["apps", &from.one.app, "lists", &from.one.id, "users"];
    send_file(client, &from.file, &To { path: &path, query, format: from.format }, quiet).await
}

fn lists(answer: &Value) -> String {
    let mut table = Table::new(&["ID", "NAME", "VERSION", "USERS", "UPDATED"]);
    for list in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let [id, name, updated] = ["id", "name", "updated_at"].map(|key| text(list, key));
        let newest = list.get("newest").cloned().unwrap_or_default();
        table.row(vec![id, name, text(&newest, "version"), number::count(newest.get("users")), updated]);
    }
    table.to_text()
}

fn versions(answer: &Value) -> String {
    let mut table =
        Table::new(&["VERSION", "UPLOAD", "USERS", "ENTERED", "LEFT", "UNKNOWN", "COHORT", "CREATED"]);
    for version in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let [number, upload, cohort, created] =
            ["version", "upload", "cohort_id", "created_at"].map(|key| text(version, key));
        let [users, entered, left, unknown] =
            ["users", "entered", "left", "unknown_users"].map(|key| number::count(version.get(key)));
        table.row(vec![number, upload, users, entered, left, unknown, cohort, created]);
    }
    table.to_text()
}

/// Every row of the upload is in one of the numbers.
fn uploaded(version: &Value) -> String {
    let count = |key: &str| number::count(version.get(key));
    let mut lines = vec![
        format!("{} users on the list: {} entered, {} left", count("users"), count("entered"), count("left")),
        format!(
            "{} rows: {} repeated, {} without an id; {} ids that the app does not know",
            count("rows_read"),
            count("rows_repeated"),
            count("rows_rejected"),
            count("unknown_users")
        ),
        format!("version {}, cohort {}", text(version, "version"), text(version, "cohort_id")),
    ];
    if version.get("report_url").is_some_and(Value::is_string) {
        lines.push(format!("line by line: GET {}", text(version, "report_url")));
    }
    lines.join("\n")
}
