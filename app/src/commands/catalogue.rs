//! `muster catalogue`: what a team says of its data, as a file that can be kept, changed and loaded.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Client, ClientArgs, idempotency};
use crate::failure::Failure;
use crate::show::{self, catalogue as shown};

#[derive(Debug, Clone, Args)]
pub struct CatalogueArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// The whole catalogue; with --json or --csv as a file to load
    Show {
        #[arg(long)]
        app: String,
        /// Labels and tags as a table
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Replace what a file names and keep everything else; all of it or nothing
    Load {
        #[arg(long)]
        app: String,
        /// A document (.json) or a table of labels and tags (.csv)
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        condition: Condition,
    },
    /// Who changed what and when, the newest first
    Changes {
        #[arg(long)]
        app: String,
    },
    /// Make the catalogue what it was at a version; that is a change like any other
    Rollback {
        #[arg(long)]
        app: String,
        /// 0: before anybody said anything
        version: u32,
        #[command(flatten)]
        condition: Condition,
    },
}

#[derive(Debug, Clone, Args)]
struct Condition {
    /// Refuse if the catalogue is at another version by now
    #[arg(long, value_name = "VERSION")]
    if_match: Option<u32>,
}

impl Condition {
    /// The request as a write that is done once, on this version.
    fn of(&self, request: RequestBuilder) -> RequestBuilder {
        let (name, key) = idempotency();
        let request = request.header(name, key);
        match self.if_match {
            Some(version) => request.header(IF_MATCH, format!("\"{version}\"")),
            None => request,
        }
    }
}

pub async fn run(args: CatalogueArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let json = args.client.json;
    match &args.action {
        Action::Show { app, csv: true } => table(&client, app).await?,
        Action::Show { app, csv: false } => {
            let document = client.json(client.request(Method::GET, &["apps", app, "catalogue"])?).await?;
            show::print(if json { document.to_string() } else { shown::document(&document) });
        }
        Action::Load { app, file, dry_run, condition } => {
            let changed = load(&client, app, file, *dry_run, condition).await?;
            show::print(if json { changed.to_string() } else { shown::changed(&changed) });
        }
        Action::Changes { app } => {
            let list = client.list(&["apps", app, "catalogue", "changes"], &[]).await?;
            show::print(if json { list.to_string() } else { shown::changes(&list) });
        }
        Action::Rollback { app, version, condition } => {
            let request = client.request(Method::POST, &["apps", app, "catalogue", "rollback"])?;
            let request = condition.of(request).json(&json!({ "version": version }));
            let changed = client.json(request).await?;
            show::print(if json { changed.to_string() } else { shown::changed(&changed) });
        }
    }
    Ok(())
}

/// As it comes: it is a file, and ends in a line break of its own.
async fn table(client: &Client, app: &str) -> Result<(), Failure> {
    let request = client.request(Method::GET, &["apps", app, "catalogue"])?.query(&[("format", "csv")]);
    let text = client.send(request).await?.text().await.map_err(|err| client.broken(err))?;
    show::print(text.trim_end_matches('\n'));
    Ok(())
}

async fn load(
    client: &Client,
    app: &str,
    file: &Path,
    dry_run: bool,
    condition: &Condition,
) -> Result<Value, Failure> {
    let kind = content_type(file)?;
    let unreadable = |err| Failure::usage(format!("can't read `{}`: {err}", file.display()));
    let body = tokio::fs::read(file).await.map_err(unreadable)?;
    let mut request = client.request(Method::POST, &["apps", app, "catalogue"])?;
    if dry_run {
        request = request.query(&[("dry_run", "true")]);
    }
    client.json(condition.of(request).header(CONTENT_TYPE, kind).body(body)).await
}

fn content_type(file: &Path) -> Result<&'static str, Failure> {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("json") => Ok("application/json"),
        Some("csv") => Ok("text/csv"),
        _ => {
            let name = file.display();
            Err(Failure::usage(format!(
                "can't tell what `{name}` is: its name ends in neither .json nor .csv"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(content_type(Path::new(name)).ok(), expected, "{name}");
        };
        check("a/catalogue.json", Some("application/json"));
        check("LABELS.CSV", Some("text/csv"));
        for stranger in ["labels.csv.gz", "json", "labels", "-", "labels.xlsx"] {
            check(stranger, None);
        }
    }
}
