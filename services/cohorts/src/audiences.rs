//! Who a rule holds, and sets of users that are kept as cohorts: what the role segments does, behind a seam, so
//! that no service knows another. `app/src/audiences.rs` fills it in.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use muster_catalogue::Floor;
use muster_days::Ds;
use muster_http::Problem;
use muster_profile_store::Snapshot;
use roaring::RoaringBitmap;

/// Ordinals per bucket.
pub type Users = Vec<RoaringBitmap>;

/// Asked again and again while something is worked out: true ends it.
pub type Stopped = Arc<dyn Fn() -> bool + Send + Sync>;

/// Who a rule holds, on one snapshot of its app.
pub struct Audience {
    pub snapshot: Arc<Snapshot>,
    /// The day the rule looked from.
    pub ds: Ds,
    /// Users of the rule's universe.
    pub universe: u64,
    pub users: Users,
    /// Names the exact data it rests on.
    pub inputs: String,
}

/// A set of users that is to be a cohort of `owner`, an id of this service's.
pub struct ToKeep {
    pub app: String,
    /// Of the cohort, beginning with `coh_`. Keeping the same id again changes nothing.
    pub id: String,
    pub owner: String,
    pub version: u32,
    pub ds: Ds,
    pub universe: u64,
    pub users: Users,
}

/// The right to evaluate; dropping it lets the next one in.
pub struct Turn(#[allow(dead_code, reason = "it is held, not looked at")] pub Box<dyn Any + Send>);

#[async_trait]
pub trait Audiences: Send + Sync {
    /// A rule that stands under `prefix` of a request's body, checked against the app's data: its canonical text.
    async fn read(&self, app: &str, rule: &[u8], prefix: &str) -> Result<String, Problem>;

    /// Names the exact data that the rule would be evaluated on now.
    async fn inputs(&self, app: &str, rule: &str) -> Result<String, Problem>;

    /// Who the rule holds now.
    async fn find(&self, app: &str, rule: &str, stopped: Stopped) -> Result<Audience, Problem>;

    /// Waits for a turn to evaluate something of this cost.
    async fn turn(&self, app: &str, cost: u64) -> Result<Turn, Problem>;

    /// The snapshot of an app that is not disabled.
    async fn snapshot(&self, app: &str) -> Result<Arc<Snapshot>, Problem>;

    /// Members of a cohort that was kept.
    async fn members(&self, app: &str, cohort: &str) -> Result<Users, Problem>;

    async fn keep(&self, cohort: ToKeep) -> Result<(), Problem>;

    /// Removes cohorts of an owner: those below a version, unless a rule names them; or all, and then none when a
    /// rule names any.
    async fn forget(&self, app: &str, owner: &str, below: Option<u32>) -> Result<(), Problem>;
}

/// The smallest crowd that the app lets be shown.
pub fn floor(snapshot: &Snapshot) -> Floor {
    snapshot.catalogue().settings.floor()
}

pub fn size(users: &[RoaringBitmap]) -> u64 {
    users.iter().map(RoaringBitmap::len).sum()
}
