//! `muster demo`: the main job from end to end on a synthetic shop, over the same HTTP API as anybody's.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use muster_days::Ds;
use serde_json::{Value, json};

use super::export::{self, Format};
use super::serve::ServeArgs;
use super::{estimate, segment};
use crate::client::{Client, follow};
use crate::demo::files::Recipe;
use crate::demo::rules::{QUESTIONS, Question};
use crate::demo::shop::APP;
use crate::demo::supply;
use crate::failure::Failure;
use crate::show::{self, number, text};

/// Ids of the cohort that are printed.
const FIRST_IDS: usize = 5;

#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Users of the shop; among fewer than 1000 not everything the rules name would occur
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub users: u64,
    /// The same seed gives the same shop
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Last day of the data
    #[arg(long, default_value = "20261101", value_name = "YYYYMMDD")]
    pub until: Ds,
    /// Folder of the data; a second run on it finds what the first one left
    #[arg(long, default_value = "./muster-data/demo", value_name = "DIR")]
    pub data: PathBuf,
    /// Address to serve on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// End when all is shown, rather than keep serving
    #[arg(long)]
    pub once: bool,
    /// Print the API's JSON, an answer a line, and nothing else
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    let serve =
        ServeArgs { data: Some(args.data.clone()), listen: Some(args.listen), ..ServeArgs::default() };
    let server = crate::serve::start(serve).await?;
    let client = Client::new(&format!("http://{}", server.address()), None)?;
    let shown = show_all(&args, &client).await;
    if shown.is_ok() && !args.once {
        if !args.json {
            show::print(format!("Serving on {} until Ctrl-C.", client.server()));
        }
        tokio::signal::ctrl_c().await?;
    }
    server.stop().await?;
    shown
}

async fn show_all(args: &DemoArgs, client: &Client) -> Result<(), Failure> {
    let told = Told { json: args.json };
    bring_in(args, client, &told).await?;
    for question in &QUESTIONS {
        ask(client, question, &told).await?;
    }
    let [question, ..] = &QUESTIONS;
    let segment = segment_of(client, question).await?;
    let cohort = make_cohort(client, &segment, &told).await?;
    let ids = args.data.join("window-shoppers.ndjson");
    let wanted = export::Wanted { app: APP, cohort: &cohort, format: Format::Ndjson, labels: None };
    let exported = export::to_file(client, wanted, &ids, args.json).await?;
    told.say(|| format!("{} ids exported to {}:", number::grouped(exported.ids), ids.display()));
    let first = first_lines(&ids)?;
    told.say(|| format!("  {}", first.join("\n  ")));
    told.json(|| json!({"ids": exported.ids, "bytes": exported.bytes, "file": ids.display().to_string()}));
    if !args.once {
        told.say(|| go_on(client, &segment, &cohort, first.first()));
    }
    Ok(())
}

/// Text for people, or JSON for programs.
struct Told {
    json: bool,
}

impl Told {
    fn say(&self, text: impl FnOnce() -> String) {
        if !self.json {
            show::print(text());
        }
    }

    fn json(&self, value: impl FnOnce() -> Value) {
        if self.json {
            show::print(value());
        }
    }
}

async fn bring_in(args: &DemoArgs, client: &Client, told: &Told) -> Result<(), Failure> {
    let recipe = Recipe { users: args.users, seed: args.seed, until: args.until };
    let files = args.data.join("files");
    let begun = Instant::now();
    let made = supply::make(recipe, &files, args.json).await?;
    told.say(|| {
        format!(
            "The shop: {} users, {} label rows, {} behaviour rows of 30 days, in {} ({})",
            number::grouped(args.users),
            number::grouped(made.label_rows),
            number::grouped(made.behavior_rows),
            files.display(),
            number::took(begun.elapsed()),
        )
    });
    for (kind, supplied) in supply::import(client, &made, args.json).await? {
        let (rows, took) = (supplied.rows, supplied.took);
        told.say(|| {
            let (grouped, rate) = (number::grouped(rows), number::rate(rows, took));
            format!("Imported {}: {grouped} rows in {} ({rate} rows/s)", kind.name(), number::took(took))
        });
        told.json(
            || json!({"kind": kind.name(), "rows_published": rows, "took_ms": took.as_millis() as u64}),
        );
    }
    told.say(String::new);
    Ok(())
}

async fn ask(client: &Client, question: &Question, told: &Told) -> Result<(), Failure> {
    let answer = estimate::ask(client, APP, question.rule.to_owned(), estimate::Contract::default()).await?;
    told.say(|| format!("{}\n\n{}\n", question.text, question.rule));
    told.say(|| show::estimate::to_text(&question.parsed(), &answer) + "\n");
    told.json(|| answer);
    Ok(())
}

/// The segment of the question: the one an earlier run left, or a new one.
async fn segment_of(client: &Client, question: &Question) -> Result<Value, Failure> {
    let list = client.list(&["apps", APP, "segments"], &[]).await?;
    let mut segments = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let found = segments.find(|segment| text(segment, "name") == question.name);
    match found {
        None => segment::create(client, APP, question.name, ("manual", "last"), &question.parsed()).await,
        Some(found) => {
            let body = json!({ "name": question.name, "rule": question.parsed(), "refresh": "manual" });
            segment::replace(client, APP, &text(found, "id"), &body).await
        }
    }
}

/// Id of the cohort that a run of the segment makes.
async fn make_cohort(client: &Client, segment: &Value, told: &Told) -> Result<String, Failure> {
    let begun = Instant::now();
    let id = text(segment, "id");
    let job = segment::start(client, APP, &id, None).await?;
    let job = follow::to_success(client, job.id(), told.json).await?;
    let result = job.raw.get("result").cloned().unwrap_or_default();
    told.say(|| {
        format!(
            "Segment {id} ({}), made a cohort by {}: {} users as of {}, hash {} ({})",
            text(segment, "name"),
            job.id(),
            number::count(result.get("size")),
            text(&result, "ds"),
            text(&result, "hash"),
            number::took(begun.elapsed()),
        )
    });
    told.json(|| job.raw.clone());
    Ok(text(&result, "cohort_id"))
}

fn first_lines(file: &Path) -> io::Result<Vec<String>> {
    BufReader::new(File::open(file)?).lines().take(FIRST_IDS).collect()
}

/// Lines to type next. `first` is the export's first line, if there is one.
fn go_on(client: &Client, segment: &Value, cohort: &str, first: Option<&String>) -> String {
    let server = client.server();
    let segment = text(segment, "id");
    let first = first.and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null);
    let user = match text(&first, "user_id") {
        none if none.is_empty() => "u0000000".to_owned(),
        user => user,
    };
    format!(
        "
Go on with:
  curl {server}/v1/apps/{APP}/labels
  curl {server}/v1/apps/{APP}/segments/estimate -H 'Content-Type: application/json' \\
    -d '{{\"where\": {{\"label\": \"interests\", \"in\": [\"pets\"]}}}}'
  curl -X POST {server}/v1/apps/{APP}/segments/{segment}/run
  curl '{server}/v1/apps/{APP}/cohorts/{cohort}/users?format=csv'
  muster why --server {server} --app {APP} {cohort} {user}
"
    )
}
