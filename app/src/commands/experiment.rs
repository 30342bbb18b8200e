//! `muster experiment`: audiences split into groups, and what became of them.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_days::Ds;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::job::Job;
use crate::client::upload::job_in;
use crate::client::{Client, ClientArgs, follow, idempotency};
use crate::failure::Failure;
use crate::show::{self, experiment as shown};

#[derive(Debug, Clone, Args)]
pub struct ExperimentArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Keep an experiment, as a draft
    Create {
        #[arg(long)]
        app: String,
        /// JSON: name, groups, population, metrics …; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// All experiments of an app
    List {
        #[arg(long)]
        app: String,
    },
    /// One experiment with its groups
    Show(One),
    /// Replace what a draft says
    Update {
        #[command(flatten)]
        one: One,
        /// JSON; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Whether the groups of a draft differ before it begins, by a job
    Check {
        #[command(flatten)]
        one: One,
        /// Try so many further salts, and take the one with which the groups differ least
        #[arg(long, default_value_t = 0)]
        salts: u32,
    },
    /// Make the groups and begin, by a job
    Start {
        #[command(flatten)]
        one: One,
        /// The first day that counts [today]
        #[arg(long, value_name = "YYYYMMDD")]
        from: Option<Ds>,
    },
    /// End an experiment; its groups and results stay
    Stop {
        #[command(flatten)]
        one: One,
        /// The last day that counts [today]
        #[arg(long, value_name = "YYYYMMDD")]
        to: Option<Ds>,
    },
    /// Each metric of each group, beside control
    Results {
        #[command(flatten)]
        one: One,
        /// The last day that counts [the newest with data]
        #[arg(long, value_name = "YYYYMMDD")]
        to: Option<Ds>,
        /// Confidence of the intervals [0.95]
        #[arg(long)]
        level: Option<f64>,
        /// Intervals that hold however often one looks
        #[arg(long)]
        sequential: bool,
        /// Leave in what the days before the experiment explain
        #[arg(long)]
        no_cuped: bool,
        /// Each tag of this label by itself, too
        #[arg(long)]
        label: Option<String>,
    },
    /// Which group a user is in, and why
    Where {
        #[command(flatten)]
        one: One,
        #[arg(value_name = "USER")]
        user: String,
    },
    /// Delete a draft or a stopped experiment
    Delete(One),
    /// The share of the users who are in no experiment
    Holdout {
        #[arg(long)]
        app: String,
        /// From now on, 0 to 0.5
        #[arg(long)]
        share: Option<f64>,
    },
}

#[derive(Debug, Clone, Args)]
struct One {
    #[arg(long)]
    app: String,
    /// Id of the experiment
    #[arg(value_name = "EXPERIMENT")]
    id: String,
}

pub async fn run(args: ExperimentArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let quiet = args.client.json;
    let answer = answer(&client, &args.action, quiet).await?;
    show::print(match &args.action {
        _ if quiet => answer.to_string(),
        Action::Create { .. } | Action::Update { .. } | Action::Show(_) | Action::Stop { .. } => {
            shown::experiment(&answer)
        }
        Action::Start { one, .. } => {
            let path = ["apps", &one.app, "experiments", &one.id];
            shown::experiment(&client.json(client.request(Method::GET, &path)?).await?)
        }
        Action::List { .. } => shown::list(&answer),
        Action::Check { .. } => shown::check(answer.get("result").unwrap_or(&Value::Null)),
        Action::Results { .. } => shown::results(&answer),
        Action::Where { .. } => shown::place(&answer),
        Action::Delete(one) => format!("{} is deleted", one.id),
        Action::Holdout { .. } => shown::holdout(&answer),
    });
    Ok(())
}

async fn answer(client: &Client, action: &Action, quiet: bool) -> Result<Value, Failure> {
    match action {
        Action::Create { app, file } => {
            send(client, Method::POST, &["apps", app, "experiments"], &read(file)?).await
        }
        Action::List { app } => client.list(&["apps", app, "experiments"], &[]).await,
        Action::Show(one) => get(client, one, &[], &[]).await,
        Action::Update { one, file } => send(client, Method::PUT, &one.path(), &read(file)?).await,
        Action::Check { one, salts } => job(client, one, "check", &json!({ "salts": salts }), quiet).await,
        Action::Start { one, from } => job(client, one, "start", &json!({ "from": from }), quiet).await,
        Action::Stop { one, to } => {
            let path = [&one.path()[..], &["stop"]].concat();
            send(client, Method::POST, &path, &json!({ "to": to })).await
        }
        Action::Results { one, to, level, sequential, no_cuped, label } => {
            let mut query = vec![("sequential", sequential.to_string()), ("cuped", (!no_cuped).to_string())];
            query.extend(to.map(|to| ("to", to.to_string())));
            query.extend(level.map(|level| ("level", level.to_string())));
            query.extend(label.clone().map(|label| ("label", label)));
            get(client, one, &["results"], &query).await
        }
        Action::Where { one, user } => get(client, one, &["users", user], &[]).await,
        Action::Delete(one) => {
            let (header, key) = idempotency();
            client.send(client.request(Method::DELETE, &one.path())?.header(header, key)).await?;
            Ok(json!({ "id": one.id, "deleted": true }))
        }
        Action::Holdout { app, share: None } => {
            client.json(client.request(Method::GET, &["apps", app, "holdout"])?).await
        }
        Action::Holdout { app, share: Some(share) } => {
            send(client, Method::PUT, &["apps", app, "holdout"], &json!({ "share": share })).await
        }
    }
}

impl One {
    fn path(&self) -> [&str; 4] {
        ["apps", &self.app, "experiments", &self.id]
    }
}

async fn get(client: &Client, one: &One, rest: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
    let path = [&one.path()[..], rest].concat();
    client.json(client.request(Method::GET, &path)?.query(query)).await
}

async fn send(client: &Client, method: Method, path: &[&str], body: &Value) -> Result<Value, Failure> {
    let (header, key) = idempotency();
    client.json(client.request(method, path)?.header(header, key).json(body)).await
}

/// The job once it is done.
async fn job(client: &Client, one: &One, what: &str, body: &Value, quiet: bool) -> Result<Value, Failure> {
    let path = [&one.path()[..], &[what]].concat();
    let job = Job { raw: job_in(send(client, Method::POST, &path, body).await?) };
    Ok(follow::to_success(client, job.id(), quiet).await?.raw)
}

/// Syntax only: whether it makes sense is the server's to say.
fn read(file: &PathBuf) -> Result<Value, Failure> {
    let text = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| Failure::usage(format!("can't read {}: {error}", file.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{} is not JSON: {error}", file.display())))
}
