//! `muster lifecycle`: drops the days that are past their retention.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::client::job::Job;
use crate::client::upload::job_in;
use crate::client::{Client, ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct LifecycleArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Of these apps only; of every app of the key unless given
    #[arg(long, value_name = "APP", value_delimiter = ',')]
    pub app: Vec<String>,
}

pub async fn run(args: LifecycleArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let apps = if args.app.is_empty() { apps(&client).await? } else { args.app };
    let mut jobs = Vec::new();
    for app in &apps {
        let (name, key) = idempotency();
        let request = client.request(Method::POST, &["apps", app, "lifecycle"])?.header(name, key);
        jobs.push(Job { raw: job_in(client.json(request).await?) });
    }
    let mut done = Vec::new();
    for job in jobs {
        done.push(follow::to_success(&client, job.id(), args.client.json).await?);
    }
    show::print(if args.client.json { listed(done) } else { told(&done) });
    Ok(())
}

async fn apps(client: &Client) -> Result<Vec<String>, Failure> {
    let list = client.list(&["apps"], &[]).await?;
    let items = list.get("items").and_then(Value::as_array);
    Ok(items.into_iter().flatten().map(|app| text(app, "app_id")).collect())
}

fn listed(jobs: Vec<Job>) -> String {
    serde_json::json!({ "items": jobs.into_iter().map(|job| job.raw).collect::<Vec<_>>() }).to_string()
}

fn told(jobs: &[Job]) -> String {
    let mut table = Table::new(&["APP", "LABEL DAYS", "EVENT DAYS", "WEEKS", "BYTES BEFORE", "BYTES AFTER"]);
    for job in jobs {
        let members = ["label_days", "event_days", "weeks", "bytes_before", "bytes_after"];
        let numbers = members.map(|member| number::count(job.result(member)));
        table.row(std::iter::once(job.text("app_id").to_owned()).chain(numbers).collect());
    }
    table.to_text()
}
