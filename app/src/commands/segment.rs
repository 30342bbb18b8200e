//! `muster segment`: versioned rules with a name, and their runs.

use clap::{Args, Subcommand, ValueEnum};
use muster_days::Ds;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::job::Job;
use crate::client::rule::RuleArgs;
use crate::client::upload::job_in;
use crate::client::{Client, ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::table::Table;
use crate::show::{self, number, text};

#[derive(Debug, Clone, Args)]
pub struct SegmentArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

/// When a segment is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Refresh {
    Manual,
    Daily,
}

impl Refresh {
    fn name(self) -> &'static str {
        match self {
            Refresh::Manual => "manual",
            Refresh::Daily => "daily",
        }
    }
}

/// What a daily refresh does when a day's data are not all in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnMissing {
    /// Use the newest data of each part
    Last,
    /// Make the day once they are in
    Wait,
    /// Leave the day out
    Skip,
}

impl OnMissing {
    fn name(self) -> &'static str {
        match self {
            OnMissing::Last => "last",
            OnMissing::Wait => "wait",
            OnMissing::Skip => "skip",
        }
    }
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Save a rule under a name
    Create {
        #[arg(long)]
        app: String,
        #[arg(long)]
        name: String,
        #[arg(long, default_value = "manual")]
        refresh: Refresh,
        /// When a day's data are not all in
        #[arg(long, default_value = "last")]
        on_missing: OnMissing,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// All segments of an app
    List {
        #[arg(long)]
        app: String,
    },
    /// One segment with its rule
    Show(One),
    /// Change what is given, keep what is not; a changed rule is a new version
    Update {
        #[command(flatten)]
        one: One,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        refresh: Option<Refresh>,
        #[arg(long)]
        on_missing: Option<OnMissing>,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// What the days of a daily segment came to
    Days(One),
    /// Make the due days of all daily segments now, by a job
    Daily {
        #[arg(long)]
        app: String,
        /// Come back as soon as the job is accepted
        #[arg(long)]
        no_wait: bool,
    },
    /// Delete a segment
    Delete(One),
    /// Make a cohort of its members, by a job
    Run {
        #[command(flatten)]
        one: One,
        /// Day to look from, instead of the rule's own
        #[arg(long, value_name = "YYYYMMDD")]
        as_of: Option<Ds>,
        /// Come back as soon as the job is accepted
        #[arg(long)]
        no_wait: bool,
    },
}

#[derive(Debug, Clone, Args)]
struct One {
    #[arg(long)]
    app: String,
    /// Id of the segment
    #[arg(value_name = "SEGMENT")]
    id: String,
}

impl One {
    fn path(&self) -> [&str; 4] {
        ["apps", &self.app, "segments", &self.id]
    }
}

pub async fn run(args: SegmentArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let json = args.client.json;
    match &args.action {
        Action::Create { app, name, refresh, on_missing, rule } => {
            let rule = parsed(&rule.required()?)?;
            let refresh = (refresh.name(), on_missing.name());
            say(json, &create(&client, app, name, refresh, &rule).await?);
        }
        Action::List { app } => {
            let list = client.list(&["apps", app, "segments"], &[]).await?;
            show::print(if json { list.to_string() } else { listed(&list) });
        }
        Action::Show(one) => say(json, &client.json(client.request(Method::GET, &one.path())?).await?),
        Action::Update { one, name, refresh, on_missing, rule } => {
            let rule = rule.read()?.as_deref().map(parsed).transpose()?;
            let body = changed(&client, one, name.as_deref(), (*refresh, *on_missing), rule).await?;
            say(json, &replace(&client, &one.app, &one.id, &body).await?);
        }
        Action::Days(one) => {
            let list = client.list(&["apps", &one.app, "segments", &one.id, "days"], &[]).await?;
            show::print(if json { list.to_string() } else { days(&list) });
        }
        Action::Daily { app, no_wait } => {
            let (name, key) = idempotency();
            let request = client.request(Method::POST, &["apps", app, "routine"])?.header(name, key);
            let mut job = Job { raw: job_in(client.json(request).await?) };
            if !no_wait {
                job = follow::to_success(&client, job.id(), json).await?;
            }
            show::print(if json { job.raw.to_string() } else { made(&job) });
        }
        Action::Delete(one) => {
            let (name, key) = idempotency();
            client.json(client.request(Method::DELETE, &one.path())?.header(name, key)).await?;
            show::print(if json {
                json!({ "deleted": one.id }).to_string()
            } else {
                format!("{} deleted", one.id)
            });
        }
        Action::Run { one, as_of, no_wait } => {
            let mut job = start(&client, &one.app, &one.id, *as_of).await?;
            if !no_wait {
                job = follow::to_success(&client, job.id(), json).await?;
            }
            show::print(if json { job.raw.to_string() } else { ran(&job) });
        }
    }
    Ok(())
}

/// Syntax only: whether the rule makes sense is the server's to say.
fn parsed(rule: &str) -> Result<Value, Failure> {
    serde_json::from_str(rule).map_err(|err| Failure::usage(format!("the rule is not JSON: {err}")))
}

/// The saved segment.
pub async fn create(
    client: &Client,
    app: &str,
    name: &str,
    (refresh, on_missing): (&str, &str),
    rule: &Value,
) -> Result<Value, Failure> {
    let (header, key) = idempotency();
    let request = client.request(Method::POST, &["apps", app, "segments"])?;
    let body = json!({ "name": name, "rule": rule, "refresh": refresh, "on_missing": on_missing });
    client.json(request.header(header, key).json(&body)).await
}

/// The segment as saved anew.
pub async fn replace(client: &Client, app: &str, id: &str, body: &Value) -> Result<Value, Failure> {
    let (header, key) = idempotency();
    let request = client.request(Method::PUT, &["apps", app, "segments", id])?;
    client.json(request.header(header, key).json(body)).await
}

/// The job of a run.
pub async fn start(client: &Client, app: &str, id: &str, as_of: Option<Ds>) -> Result<Job, Failure> {
    let (header, key) = idempotency();
    let request = client.request(Method::POST, &["apps", app, "segments", id, "run"])?;
    let body = as_of.map_or_else(|| json!({}), |day| json!({ "as_of": day }));
    Ok(Job { raw: job_in(client.json(request.header(header, key).json(&body)).await?) })
}

async fn changed(
    client: &Client,
    one: &One,
    name: Option<&str>,
    (refresh, on_missing): (Option<Refresh>, Option<OnMissing>),
    rule: Option<Value>,
) -> Result<Value, Failure> {
    if name.is_none() && refresh.is_none() && on_missing.is_none() && rule.is_none() {
        return Err(Failure::usage("say what to change: --name, --refresh, --on-missing or the rule"));
    }
    let now = client.json(client.request(Method::GET, &one.path())?).await?;
    let kept = |key: &str| now.get(key).cloned().unwrap_or_default();
    Ok(json!({
        "name": name.map_or_else(|| kept("name"), Value::from),
        "refresh": refresh.map_or_else(|| kept("refresh"), |refresh| refresh.name().into()),
        "on_missing": on_missing.map_or_else(|| kept("on_missing"), |on| on.name().into()),
        "rule": rule.unwrap_or_else(|| kept("rule")),
    }))
}

fn say(json: bool, segment: &Value) {
    if json {
        return show::print(segment);
    }
    let head = format!(
        "{}  {}  version {}, {} refresh",
        text(segment, "id"),
        text(segment, "name"),
        text(segment, "version"),
        text(segment, "refresh"),
    );
    let rule = segment.get("rule").map(show::rule::bare).unwrap_or_default();
    show::print(format!("{}\n{rule}", show::table::one_line(&head)));
}

fn listed(list: &Value) -> String {
    let mut table = Table::new(&["ID", "NAME", "VERSION", "REFRESH", "UPDATED", "LAST COHORT", "USERS"]);
    for segment in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let mut cells =
            Vec::from(["id", "name", "version", "refresh", "updated_at"].map(|key| text(segment, key)));
        if let Some(cohort @ Value::Object(_)) = segment.get("last_cohort") {
            cells.extend([text(cohort, "id"), number::count(cohort.get("size"))]);
        }
        table.row(cells);
    }
    table.to_text()
}

fn days(list: &Value) -> String {
    let mut table = Table::new(&["DS", "OUTCOME", "COHORT", "WHY"]);
    for day in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let why = day.get("detail").filter(|detail| **detail != json!({})).map(Value::to_string);
        let [ds, outcome, cohort] = ["ds", "outcome", "cohort_id"].map(|key| text(day, key));
        table.row(vec![ds, outcome, cohort, why.unwrap_or_default()]);
    }
    table.to_text()
}

/// A line for each day.
fn made(job: &Job) -> String {
    if !job.done() {
        return format!("{} {}. Follow it: muster job watch {}", job.id(), job.state(), job.id());
    }
    let days = job.result("days").and_then(Value::as_object).cloned().unwrap_or_default();
    if days.is_empty() {
        return "nothing was due".to_owned();
    }
    let mut table = Table::new(&["DS", "MADE", "WAITING", "SKIPPED", "REFUSED", "BELOW FLOOR"]);
    for (ds, came_to) in &days {
        let outcomes = ["made", "waiting", "skipped", "refused", "below_floor"];
        let counts = outcomes.map(|outcome| number::count(came_to.get(outcome)));
        table.row(std::iter::once(ds.clone()).chain(counts).collect());
    }
    table.to_text()
}

fn ran(job: &Job) -> String {
    if !job.done() {
        return format!("{} {}. Follow it: muster job watch {}", job.id(), job.state(), job.id());
    }
    let result = job.raw.get("result").cloned().unwrap_or_default();
    format!(
        "{}  {} users as of {}, hash {}",
        text(&result, "cohort_id"),
        number::count(result.get("size")),
        text(&result, "ds"),
        text(&result, "hash"),
    )
}
