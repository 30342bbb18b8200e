//! `muster serve`: what can be said on its line. What is not said comes from the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Folder that holds everything; made when it is missing
    #[arg(long, env = "MUSTER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to serve on; one that is not loopback needs API keys
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Configuration file
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Roles of this process; all of them unless named
    #[arg(long = "role", value_name = "ROLE,…", value_delimiter = ',')]
    pub roles: Vec<String>,
}

pub async fn run(args: ServeArgs) -> Result<(), Failure> {
    Ok(crate::serve::run(args).await?)
}
