//! `muster track`: what becomes of cohorts, day by day.

use clap::{Args, Subcommand};
use muster_days::Ds;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{ClientArgs, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct TrackArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Follow a cohort, or the cohorts of a segment or list
    Add {
        #[command(flatten)]
        one: One,
        /// The first day [that of its first cohort]
        #[arg(long, value_name = "YYYYMMDD")]
        from: Option<Ds>,
    },
    /// Follow it no more; its days are forgotten
    Remove(One),
    /// What is followed
    All {
        #[arg(long)]
        app: String,
    },
    /// Size, activity and retention by day, beside the whole app
    Show {
        #[command(flatten)]
        one: One,
        #[arg(long, value_name = "YYYYMMDD")]
        from: Option<Ds>,
        #[arg(long, value_name = "YYYYMMDD")]
        to: Option<Ds>,
    },
}

#[derive(Debug, Clone, Args)]
struct One {
    #[arg(long)]
    app: String,
    /// A cohort, segment or list
    #[arg(value_name = "COHORT")]
    id: String,
}

impl One {
    fn path(&self) -> [&str; 4] {
        ["apps", &self.app, "tracking", &self.id]
    }
}

pub async fn run(args: TrackArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let quiet = args.client.json;
    let answer = match &args.action {
        Action::Add { one, from } => {
            let (header, key) = idempotency();
            let request = client.request(Method::PUT, &one.path())?.header(header, key);
            client.json(request.json(&json!({ "from": from }))).await?
        }
        Action::Remove(one) => {
            let (header, key) = idempotency();
            client.send(client.request(Method::DELETE, &one.path())?.header(header, key)).await?;
            json!({ "id": one.id, "deleted": true })
        }
        Action::All { app } => client.list(&["apps", app, "tracking"], &[]).await?,
        Action::Show { one, from, to } => {
            let day = |name, day: &Option<Ds>| day.map(|day| (name, day.to_string()));
            let query: Vec<(&str, String)> = day("from", from).into_iter().chain(day("to", to)).collect();
            client.json(client.request(Method::GET, &one.path())?.query(&query)).await?
        }
    };
    show::print(match &args.action {
        _ if quiet => answer.to_string(),
        Action::Add { .. } => format!(
            "{} is followed from {} on ({})",
            text(&answer, "id"),
            text(&answer, "from"),
            text(&answer, "kind")
        ),
        Action::Remove(one) => format!("{} is followed no more", one.id),
        Action::All { .. } => listed(&answer),
        Action::Show { .. } => series(&answer),
    });
    Ok(())
}

fn listed(answer: &Value) -> String {
    let mut table = Table::new(&["ID", "KIND", "FROM", "FIRST COHORT"]);
    for tracked in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        table.row(["id", "kind", "from", "first_cohort"].map(|key| text(tracked, key)).to_vec());
    }
    table.to_text()
}

fn series(answer: &Value) -> String {
    let headings = [
        "DAY",
        "USERS",
        "ACTIVE",
        "PV",
        "TRADES",
        "RETENTION",
        "APP USERS",
        "APP ACTIVE",
        "APP PV",
        "APP TRADES",
    ];
    let mut table = Table::new(&headings);
    for day in answer.get("days").and_then(Value::as_array).into_iter().flatten() {
        let of = |crowd: &str, key: &str| number::count(day.get(crowd).and_then(|crowd| crowd.get(key)));
        let retention = day.get("retention").and_then(Value::as_f64);
        let mut row = vec![text(day, "ds")];
        row.extend(["users", "active", "pv", "trades"].map(|key| of("cohort", key)));
        row.push(retention.map(|share| format!("{:.1} %", share * 100.0)).unwrap_or_default());
        row.extend(["users", "active", "pv", "trades"].map(|key| of("app", key)));
        table.row(row);
    }
    let missing: Vec<String> = answer
        .get("missing_days")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|day| format!("{} {}", text(day, "ds"), text(day, "why").replace('_', " ")))
        .collect();
    match missing.is_empty() {
        true => table.to_text(),
        false => format!("{}\nmissing: {}", table.to_text(), missing.join(", ")),
    }
}
