//! `muster why`: whether a user is in a cohort, and the number that decided each condition.

use clap::Args;
use reqwest::Method;

use super::cohort;
use crate::client::ClientArgs;
use crate::failure::Failure;
use crate::show;

#[derive(Debug, Clone, Args)]
pub struct WhyArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long)]
    pub app: String,
    /// Id of the cohort
    pub cohort: String,
    /// Id of the user
    pub user: String,
}

pub async fn run(args: WhyArgs) -> Result<(), Failure> {
    let client = args.client.client()?;
    let path = ["apps", &args.app, "cohorts", &args.cohort, "users", &args.user];
    let proof = client.json(client.request(Method::GET, &path)?).await?;
    if args.client.json {
        show::print(proof);
        return Ok(());
    }
    let cohort = cohort::get(&client, &args.app, &args.cohort).await?;
    show::print(show::why::to_text(&cohort, &proof));
    Ok(())
}
