//! Hands what the role segments does with rules and cohorts to the role cohorts, which must not know it.

use std::sync::Arc;

use async_trait::async_trait;
use muster_catalogue::AppSettings;
use muster_cohorts::{
    Audience, Audiences, Claim, Exported, Forget, Newest, Stopped, ToExport, ToKeep, Turn, Users,
};
use muster_days::Ds;
use muster_http::Problem;
use muster_profile_store::{Place, Snapshot};
use muster_segments::{Found, Kept, OnItsWay, Segments};

pub struct OfSegments(pub Segments);

#[async_trait]
impl Audiences for OfSegments {
    async fn read(&self, app: &str, rule: &[u8], prefix: &str) -> Result<String, Problem> {
        self.0.read_rule(app, rule, prefix).await
    }

    async fn inputs(&self, app: &str, rule: &str) -> Result<String, Problem> {
        self.0.rule_inputs(app, rule).await
    }

    async fn find(&self, app: &str, rule: &str, stopped: Stopped) -> Result<Audience, Problem> {
        let Found { snapshot, ds, universe, users, inputs } = self.0.find_users(app, rule, stopped).await?;
        Ok(Audience { snapshot, ds, universe, users, inputs })
    }

    async fn turn(&self, app: &str, cost: u64) -> Result<Turn, Problem> {
        Ok(Turn(Box::new(self.0.turn(app, cost).await?)))
    }

    async fn turn_patiently(&self, app: &str, cost: u64) -> Turn {
        Turn(Box::new(self.0.turns.take_patiently(app, cost).await))
    }

    async fn refreshed(&self, app: &str) -> Result<Option<Arc<Snapshot>>, Problem> {
        self.0.refreshed(app).await
    }

    async fn settings(&self, app: &str) -> Result<AppSettings, Problem> {
        self.0.settings(app).await
    }

    async fn snapshot(&self, app: &str) -> Result<Arc<Snapshot>, Problem> {
        self.0.snapshot(app).await
    }

    async fn is_member(&self, app: &str, cohort: &str, place: Place) -> Result<bool, Problem> {
        self.0.is_member(app, cohort, place).await
    }

    async fn members(&self, app: &str, cohort: &str) -> Result<Users, Problem> {
        self.0.cohort_users(app, cohort).await
    }

    async fn newest(&self, app: &str, id: &str) -> Result<Newest, Problem> {
        let cohort = self.0.newest_cohort(app, id).await?;
        let users = cohort.size.unwrap_or_default();
        Ok(Newest { id: cohort.id, ds: cohort.ds, version: cohort.segment_version, users, hash: cohort.hash })
    }

    async fn cohorts_of(&self, app: &str, id: &str) -> Result<Vec<(Ds, String)>, Problem> {
        self.0.cohorts_of(app, id).await
    }

    async fn export(&self, export: ToExport) -> Result<Exported, Problem> {
        let ToExport { app, users, ds, format, labels } = export;
        let on_its_way = self.0.export_users(&app, users, &format, (labels, ds)).await?;
        let OnItsWay { chunks, extension, label_days } = on_its_way;
        Ok(Exported { chunks, extension, label_days })
    }

    async fn keep(&self, cohort: ToKeep) -> Result<(), Problem> {
        let ToKeep { app, id, owner, version, ds, universe, users } = cohort;
        self.0.keep_users(&app, Kept { id, owner, version, ds, universe, users }).await
    }

    async fn claim(&self, app: &str, owner: &str, claim: Claim<'_>) -> Result<(), Problem> {
        let needed = match claim {
            Claim::Rule(rule) => (Some(rule), None),
            Claim::Cohort(cohort) => (None, Some(cohort)),
            Claim::Nothing => (None, None),
        };
        self.0.claim(app, owner, needed).await
    }

    async fn claimants(&self) -> Result<Vec<(String, String)>, Problem> {
        self.0.claimants().await
    }

    async fn forget(&self, app: &str, owner: &str, which: Forget) -> Result<(), Problem> {
        match which {
            Forget::All => self.0.forget_all(app, owner).await,
            Forget::AllBut(kept) => self.0.forget_some(app, owner, |id| !kept.contains(id)).await,
            Forget::Beginning(begin) => self.0.forget_some(app, owner, |id| id.starts_with(&begin)).await,
        }
    }
}
