//! `muster estimate`: how many users a rule holds, and how each condition contributes.

use clap::Args;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;

use crate::client::rule::RuleArgs;
use crate::client::{Client, ClientArgs};
use crate::failure::Failure;
use crate::show;

#[derive(Debug, Clone, Args)]
pub struct EstimateArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// The app whose users are counted
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub rule: RuleArgs,
    #[command(flatten)]
    pub contract: Contract,
}

/// What lets the answer be less than exact.
#[derive(Debug, Clone, Copy, Default, Args, Serialize)]
pub struct Contract {
    /// Relative error of the count that will do with 95 % confidence, like 0.05
    #[arg(long, value_name = "SHARE")]
    pub within: Option<f64>,
    /// Milliseconds after which the server looks at no more users
    #[arg(long, value_name = "MS")]
    pub budget_ms: Option<f64>,
}

pub async fn run(args: EstimateArgs) -> Result<(), Failure> {
    let rule = args.rule.required()?;
    let answer = ask(&args.client.client()?, &args.app, rule.clone(), args.contract).await?;
    if args.client.json {
        show::print(answer);
        return Ok(());
    }
    // The server has accepted it, so it is JSON.
    let rule: Value = serde_json::from_str(&rule).unwrap_or_default();
    show::print(show::estimate::to_text(&rule, &answer));
    Ok(())
}

/// The answer's JSON. Rule and contract go as they are: refusing them is the server's part.
pub async fn ask(client: &Client, app: &str, rule: String, contract: Contract) -> Result<Value, Failure> {
    let request = client.request(Method::POST, &["apps", app, "segments", "estimate"])?.query(&contract);
    client.json(request.header(CONTENT_TYPE, "application/json").body(rule)).await
}
