//! `muster verify`: works a cohort out again and compares.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, ClientArgs, idempotency};
use crate::failure::Failure;
use crate::show::{self, text};

#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long)]
    app: String,
    /// Id of the cohort
    #[arg(value_name = "COHORT")]
    id: String,
}

/// Fails when the hashes differ although the data are the same.
pub async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let found = verify(&args.client.client()?, &args.app, &args.id).await?;
    let (same, data) = (found.get("same") == Some(&Value::Bool(true)), text(&found, "data"));
    show::print(if args.client.json { found.to_string() } else { told(&found, same, &data) });
    if !same && data == "same" {
        let detail = format!("{} is not what its rule says of its own data", args.id);
        return Err(Failure::Other(anyhow::anyhow!(detail)));
    }
    Ok(())
}

async fn verify(client: &Client, app: &str, id: &str) -> Result<Value, Failure> {
    let (name, key) = idempotency();
    let request = client.request(Method::POST, &["apps", app, "cohorts", id, "verify"])?;
    client.json(request.header(name, key)).await
}

fn told(found: &Value, same: bool, data: &str) -> String {
    let id = text(found, "cohort_id");
    match (same, data) {
        (true, "same") => format!("{id} is the same, worked out from the same data: {}", text(found, "hash")),
        (true, _) => {
            format!("{id} is the same, from data that were published since: {}", text(found, "hash"))
        }
        (false, "none") => format!("{id} can't be worked out: its rule does not fit the app's data any more"),
        (false, _) => format!(
            "{id} differs: {} then, {} now, {} in its file; the data are {}",
            text(found, "hash"),
            text(found, "hash_now"),
            text(found, "hash_of_file"),
            if data == "newer" { "newer" } else { "the same" },
        ),
    }
}
