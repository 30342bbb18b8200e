//! `muster cohort`: what segment runs have made, and what that is made up of.

use clap::{Args, Subcommand};
use muster_days::Ds;
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
    /// The tags that set its members apart from the whole app
    Profile {
        #[arg(long)]
        app: String,
        /// Id of the cohort
        #[arg(value_name = "COHORT")]
        id: String,
        /// By id or name, with commas between [all]
        #[arg(long)]
        labels: Option<String>,
        #[arg(long, default_value = "surprise", value_parser = ["surprise", "index", "users"])]
        sort: String,
        /// At most so many tags
        #[arg(long, default_value_t = 20)]
        top: u32,
    },
    /// Who entered and who left since another cohort, and what that did to its make-up
    Difference {
        #[arg(long)]
        app: String,
        /// Id of the later cohort
        #[arg(value_name = "COHORT")]
        id: String,
        /// The cohort before
        #[arg(long, value_name = "COHORT")]
        from: String,
        /// By id or name, with commas between [all]
        #[arg(long)]
        labels: Option<String>,
        /// At most so many tags
        #[arg(long, default_value_t = 20)]
        top: u32,
    },
    /// What its members did, beside the whole app
    Behaviour {
        #[arg(long)]
        app: String,
        /// Id of the cohort
        #[arg(value_name = "COHORT")]
        id: String,
        /// By name, with commas between [all]
        #[arg(long)]
        events: Option<String>,
        #[command(flatten)]
        days: Days,
    },
    /// How a weight, or what members come to of an event, spreads over them
    Spread {
        #[arg(long)]
        app: String,
        /// Id of the cohort
        #[arg(value_name = "COHORT")]
        id: String,
        /// With --tag: the weight with which users carry it
        #[arg(long, requires = "tag")]
        label: Option<String>,
        #[arg(long, requires = "label")]
        tag: Option<String>,
        /// What users come to of the event: pv, or the --measure
        #[arg(long, conflicts_with = "label", required_unless_present = "label")]
        event: Option<String>,
        #[arg(long, requires = "event")]
        measure: Option<String>,
        #[command(flatten)]
        days: Days,
        /// Shares from 0 to 1, with commas between
        #[arg(long)]
        quantiles: Option<String>,
    },
    /// Users in every combination of two to six cohorts
    Overlap {
        #[arg(long)]
        app: String,
        /// Cohorts; of a segment or a list it is the newest one
        #[arg(value_name = "COHORT", num_args = 2..=6, required = true)]
        ids: Vec<String>,
    },
}

/// Of a behaviour: 30 days up to the cohort's own when not given.
#[derive(Debug, Clone, Args)]
struct Days {
    #[arg(long, value_name = "YYYYMMDD")]
    from: Option<Ds>,
    #[arg(long, value_name = "YYYYMMDD")]
    to: Option<Ds>,
}

impl Days {
    fn query(&self) -> impl Iterator<Item = (&'static str, String)> {
        let from = self.from.map(|ds| ("from", ds.to_string()));
        from.into_iter().chain(self.to.map(|ds| ("to", ds.to_string())))
    }
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
        Action::Profile { app, id, labels, sort, top } => {
            let mut query = vec![("sort", sort.clone()), ("top", top.to_string())];
            query.extend(labels.clone().map(|labels| ("labels", labels)));
            let request = client.request(Method::GET, &["apps", app, "cohorts", id, "profile"])?;
            let answer = client.json(request.query(&query)).await?;
            if json { answer.to_string() } else { show::cohort::profile(&answer) }
        }
        Action::Difference { app, id, from, labels, top } => {
            let mut query = vec![("from", from.clone()), ("top", top.to_string())];
            query.extend(labels.clone().map(|labels| ("labels", labels)));
            let request = client.request(Method::GET, &["apps", app, "cohorts", id, "difference"])?;
            let answer = client.json(request.query(&query)).await?;
            if json { answer.to_string() } else { show::cohort::difference(&answer) }
        }
        Action::Behaviour { app, id, events, days } => {
            let mut query: Vec<(&str, String)> = days.query().collect();
            query.extend(events.clone().map(|events| ("events", events)));
            let request = client.request(Method::GET, &["apps", app, "cohorts", id, "behaviour"])?;
            let answer = client.json(request.query(&query)).await?;
            if json { answer.to_string() } else { show::cohort::behaviour(&answer) }
        }
        Action::Spread { app, id, label, tag, event, measure, days, quantiles } => {
            let mut query: Vec<(&str, String)> = days.query().collect();
            let named = [("label", label), ("tag", tag), ("event", event), ("measure", measure)];
            let named = named.into_iter().chain([("quantiles", quantiles)]);
            query.extend(named.filter_map(|(key, value)| Some((key, value.clone()?))));
            let request = client.request(Method::GET, &["apps", app, "cohorts", id, "spread"])?;
            let answer = client.json(request.query(&query)).await?;
            if json { answer.to_string() } else { show::cohort::spread(&answer) }
        }
        Action::Overlap { app, ids } => {
            let request = client.request(Method::GET, &["apps", app, "cohorts", "overlap"])?;
            let answer = client.json(request.query(&[("cohorts", ids.join(","))])).await?;
            if json { answer.to_string() } else { show::cohort::overlap(&answer) }
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
