//! What experiments need of other services, and followed cohorts, claimed in the name of each.

use super::drafts::is_open;
use crate::Cohorts;
use crate::audiences::Claim;
use crate::error::Error;
use crate::{store, tracking};

/// Somebody else changes it in every look: the next hourly one will do.
const LOOKS: usize = 5;

/// What its audience is made of must stay until the experiment has ended. Looks again afterwards, so that of two who
/// change it at once the last one claims for what it has become.
pub async fn claim(cohorts: &Cohorts, app: &str, id: &str) -> Result<(), Error> {
    let mut claimed = None;
    for _ in 0..LOOKS {
        let row = store::experiment(&cohorts.db, app, id).await?;
        let rule = row.filter(|row| is_open(&row.state)).map(|row| row.rule);
        if claimed.as_ref() == Some(&rule) {
            break;
        }
        let needed = rule.as_deref().map_or(Claim::Nothing, Claim::Rule);
        cohorts.audiences.claim(app, id, needed).await?;
        claimed = Some(rule);
    }
    Ok(())
}

/// Now and then, for whoever died between a row and its claim.
pub async fn claim_all(cohorts: &Cohorts) -> Result<(), Error> {
    let rows = store::all(&cohorts.db).await?;
    let mut owners: Vec<(String, String)> = rows.into_iter().map(|row| (row.app_id, row.id)).collect();
    owners.extend(tracking::followed(cohorts).await?);
    owners.extend(cohorts.audiences.claimants().await?);
    owners.sort_unstable();
    owners.dedup();
    for (app, owner) in owners {
        let done = match owner.starts_with("exp_") {
            true => claim(cohorts, &app, &owner).await,
            false => tracking::claim(cohorts, &app, &owner).await,
        };
        if let Err(error) = done {
            tracing::warn!(app, owner, %error, "what it needs is claimed later");
        }
    }
    Ok(())
}
