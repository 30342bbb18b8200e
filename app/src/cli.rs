//! The command line: a table of contents of what the binary can do.

use clap::{Parser, Subcommand};

use crate::commands::{
    bench, catalogue, cohort, delivery, demo, erase, estimate, experiment, export, import, job, key,
    lifecycle, list, migrate, segment, serve, track, verify, why,
};
use crate::failure::Failure;

/// User profiles and audience segments whose numbers you can trust.
#[derive(Debug, Parser)]
#[command(name = "muster", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Without a command: serves the data folder ./muster-data on 127.0.0.1:8080.

Exit codes: 0 done, 1 refused by the server or failed, 2 used wrongly, 3 server not reached, 130 interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve every role, or some, until Ctrl-C
    Serve(serve::ServeArgs),
    /// Make a synthetic shop, import it, ask it, make a cohort, export it, keep serving
    Demo(demo::DemoArgs),
    /// Send files of labels, behaviour or events, and follow their import
    Import(import::ImportArgs),
    /// Count the users a rule holds, in all and condition by condition
    Estimate(estimate::EstimateArgs),
    /// Show, load and take back what a team says of its labels, events and base crowds
    Catalogue(catalogue::CatalogueArgs),
    /// Create, list, show, update, delete and run segments
    Segment(segment::SegmentArgs),
    /// Keep lists of users by their uploaded ids
    List(list::ListArgs),
    /// List and show cohorts, what they are made up of and how they overlap
    Cohort(cohort::CohortArgs),
    /// Split an audience into groups, and compare what becomes of them
    Experiment(experiment::ExperimentArgs),
    /// Bring cohorts to files, S3-compatible storage or webhooks
    Delivery(delivery::DeliveryArgs),
    /// Follow cohorts day by day, beside the whole app
    Track(track::TrackArgs),
    /// Work a cohort out again and compare
    Verify(verify::VerifyArgs),
    /// Say whether a user is in a cohort, and why
    Why(why::WhyArgs),
    /// Stream the user ids of a cohort
    Export(export::ExportArgs),
    /// Show, list, cancel and watch jobs
    Job(job::JobArgs),
    /// Drop data days that are past their retention
    Lifecycle(lifecycle::LifecycleArgs),
    /// Erase users from everything an app has of them
    Erase(erase::EraseArgs),
    /// Create, list and revoke API keys, in the data folder itself
    Key(key::KeyArgs),
    /// Bring the tables of the database up to date
    Migrate(migrate::MigrateArgs),
    /// Measure estimates, imports and exports on synthetic data
    Bench(bench::BenchArgs),
}

impl Cli {
    /// Whether the answers, and so the errors too, are for a program to read.
    pub fn json(&self) -> bool {
        match &self.command {
            None | Some(Command::Serve(_) | Command::Migrate(_)) => false,
            Some(Command::Demo(args)) => args.json,
            Some(Command::Import(args)) => args.client.json,
            Some(Command::Estimate(args)) => args.client.json,
            Some(Command::Catalogue(args)) => args.client.json,
            Some(Command::Segment(args)) => args.client.json,
            Some(Command::List(args)) => args.client.json,
            Some(Command::Cohort(args)) => args.client.json,
            Some(Command::Experiment(args)) => args.client.json,
            Some(Command::Delivery(args)) => args.client.json,
            Some(Command::Track(args)) => args.client.json,
            Some(Command::Verify(args)) => args.client.json,
            Some(Command::Why(args)) => args.client.json,
            Some(Command::Export(args)) => args.client.json,
            Some(Command::Job(args)) => args.client.json,
            Some(Command::Lifecycle(args)) => args.client.json,
            Some(Command::Erase(args)) => args.client.json,
            Some(Command::Key(args)) => args.json,
            Some(Command::Bench(args)) => args.json,
        }
    }

    pub async fn run(self) -> Result<(), Failure> {
        match self.command {
            None => serve::run(serve::ServeArgs::default()).await,
            Some(Command::Serve(args)) => serve::run(args).await,
            Some(Command::Demo(args)) => demo::run(args).await,
            Some(Command::Import(args)) => import::run(args).await,
            Some(Command::Estimate(args)) => estimate::run(args).await,
            Some(Command::Catalogue(args)) => catalogue::run(args).await,
            Some(Command::Segment(args)) => segment::run(args).await,
            Some(Command::List(args)) => list::run(args).await,
            Some(Command::Cohort(args)) => cohort::run(args).await,
            Some(Command::Experiment(args)) => experiment::run(args).await,
            Some(Command::Delivery(args)) => delivery::run(args).await,
            Some(Command::Track(args)) => track::run(args).await,
            Some(Command::Verify(args)) => verify::run(args).await,
            Some(Command::Why(args)) => why::run(args).await,
            Some(Command::Export(args)) => export::run(args).await,
            Some(Command::Job(args)) => job::run(args).await,
            Some(Command::Lifecycle(args)) => lifecycle::run(args).await,
            Some(Command::Erase(args)) => erase::run(args).await,
            Some(Command::Key(args)) => key::run(args).await,
            Some(Command::Migrate(args)) => migrate::run(args).await,
            Some(Command::Bench(args)) => bench::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn check(line: &str, accepted: bool) {
        let parsed = Cli::try_parse_from(line.split_whitespace());
        match parsed {
            Ok(_) => assert!(accepted, "accepted: {line}"),
            Err(err) => {
                assert!(!accepted, "refused: {line}: {err}");
                assert_eq!(err.exit_code(), 2, "{line}");
            }
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lines_that_hold() {
        for line in [
            "muster",
            "muster serve --data d --listen 127.0.0.1:0 --config c.toml --role gateway,labels --role ingest",
            "muster demo --users 1000 --seed 7 --until 20260131 --once",
            "muster import --kind labels a.csv b.csv.gz --reject-limit 0.1 --no-wait",
            "muster import --kind labels a.csv --no-wait --wait",
            "muster estimate --app shop rule.json --server http://localhost:1 --key mk_1",
            "muster estimate --app shop -",
            "muster estimate --app shop --rule {}",
            "muster estimate --app shop rule.json --within 0.05 --budget-ms 2.5",
            "muster catalogue show --app shop --csv",
            "muster catalogue load --app shop catalogue.csv --dry-run --if-match 3",
            "muster catalogue changes --app shop --json",
            "muster catalogue rollback --app shop 0",
            "muster segment create --app shop --name x --refresh daily rule.json --json",
            "muster segment --server http://localhost:1 list --app shop",
            "muster segment run --app shop seg_1 --no-wait",
            "muster cohort show --app shop coh_1",
            "muster cohort profile --app shop coh_1 --labels gender,province --top 5",
            "muster cohort difference --app shop coh_2 --from coh_1",
            "muster cohort behaviour --app shop coh_1 --events visit,order --from 20261001",
            "muster cohort spread --app shop coh_1 --event order --measure m_amount --quantiles 0.5,0.99",
            "muster cohort spread --app shop coh_1 --label level --tag gold",
            "muster cohort overlap --app shop coh_1 coh_2 seg_1",
            "muster experiment create --app shop experiment.json",
            "muster experiment check --app shop exp_1 --salts 20",
            "muster experiment start --app shop exp_1 --from 20261101",
            "muster experiment results --app shop exp_1 --sequential --no-cuped --label gender",
            "muster experiment holdout --app shop --share 0.05",
            "muster delivery send --app shop seg_1 --to crm --changes --format csv --labels gender",
            "muster delivery destinations --app shop",
            "muster track add --app shop seg_1 --from 20261101",
            "muster track show --app shop seg_1",
            "muster list create --app shop --name VIPs",
            "muster list add --app shop lst_1 ids.csv --reject-limit 0.5",
            "muster why --app shop coh_1 u1",
            "muster export --app shop coh_1 --format csv -o ids.csv",
            "muster export --app shop coh_1 --format parquet --labels gender,province -o ids.parquet",
            "muster job watch job_1",
            "muster lifecycle --app shop,game --json",
            "muster erase users --app shop u1 u2",
            "muster erase users --app shop --file ids.txt",
            "muster erase all --app shop",
            "muster key create --data d --apps * --roles read,segment",
            "muster migrate --config c.toml",
            "muster bench --users 10000 --seconds 1",
        ] {
            check(line, true);
        }
    }

    #[test]
    fn lines_that_do_not() {
        for line in [
            "muster sreve",
            "muster serve --listen here",
            "muster demo --until 20261301",
            "muster demo --users 999",
            "muster import a.csv",
            "muster import --kind labels",
            "muster import --kind tags a.csv",
            "muster import --kind labels a.csv --reject-limit 2",
            "muster estimate rule.json",
            "muster estimate --app shop rule.json --rule {}",
            "muster estimate --app shop rule.json --within some",
            "muster catalogue show",
            "muster catalogue show --app shop --csv --json",
            "muster catalogue load --app shop",
            "muster catalogue load --app shop a.json --if-match newest",
            "muster catalogue rollback --app shop",
            "muster catalogue rollback --app shop -1",
            "muster segment create --app shop --name x --refresh hourly rule.json",
            "muster cohort overlap --app shop coh_1",
            "muster experiment where --app shop exp_1",
            "muster delivery send --app shop seg_1 --to crm --since coh_1",
            "muster cohort spread --app shop coh_1",
            "muster cohort spread --app shop coh_1 --label level",
            "muster list add --app shop lst_1",
            "muster export --app shop coh_1 --format xml",
            "muster erase users --app shop",
            "muster erase users --app shop u1 --file ids.txt",
            "muster key create --data d --apps a --roles reader",
            "muster key create --data d --roles read",
        ] {
            check(line, false);
        }
    }
}
