//! `muster migrate`: brings the tables of the database up to date.

use std::path::PathBuf;

use clap::Args;

use crate::config::Config;
use crate::failure::Failure;
use crate::show;
use crate::wiring::open_database;

#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Data folder, where the database is a file in it
    #[arg(long, env = "MUSTER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file; it may name a database server
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Safe to run at any time, by several processes at once, and before the servers are replaced: tables only
/// grow, so that older programs go on with them.
pub async fn run(args: MigrateArgs) -> Result<(), Failure> {
    let config = Config::of(args.data, args.config)?;
    let Some(server) = config.server()? else {
        // A file is brought up to date whenever it is opened.
        std::fs::create_dir_all(&config.data)?;
        open_database(&config).await?.close().await;
        show::print(format!("{} is up to date", config.data.join("muster.db").display()));
        return Ok(());
    };
    let applied = muster_sql::migrate(&server).await.map_err(anyhow::Error::from)?;
    let versions: Vec<String> = applied.iter().map(i64::to_string).collect();
    show::print(match &versions[..] {
        [] => "the database is up to date".to_owned(),
        versions => format!("the database is up to date; applied now: {}", versions.join(", ")),
    });
    Ok(())
}
