//! Who a rule holds, and sets of users that are kept as cohorts: what the role segments does, behind a seam, so
//! that no service knows another. `app/src/audiences.rs` fills it in.

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use muster_catalogue::{AppSettings, Floor};
use muster_days::Ds;
use muster_http::Problem;
use muster_profile_store::{Place, Snapshot};
use roaring::RoaringBitmap;
use tokio::sync::mpsc::Receiver;

/// Ordinals per bucket.
pub type Users = Vec<RoaringBitmap>;

/// Users, and the group that is to stand beside their ids; None: there is no column for it.
pub type InGroup = (Option<String>, Users);

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

/// A cohort that may be shown.
pub struct Newest {
    pub id: String,
    pub ds: Ds,
    /// Of the segment's rule, of the list, or of what it was kept for.
    pub version: u32,
    pub users: u64,
    /// Equal for equal sets of user ids.
    pub hash: String,
}

/// Users whose ids are wanted, and what they carry of some labels.
pub struct ToExport {
    pub app: String,
    /// One set after the other.
    pub users: Vec<InGroup>,
    /// The day whose labels count.
    pub ds: Ds,
    /// `ndjson`, `csv` or `parquet`.
    pub format: String,
    /// By id or name.
    pub labels: Vec<String>,
}

/// An export on its way.
pub struct Exported {
    /// An error is the last one, and says that the rest is missing.
    pub chunks: Receiver<io::Result<Bytes>>,
    /// Of a file.
    pub extension: &'static str,
    /// `10001=20261101`: the day of each label.
    pub label_days: Vec<String>,
}

/// What must stay as long as somebody needs it.
pub enum Claim<'a> {
    /// Segments, lists and cohorts that a rule names.
    Rule(&'a str),
    Cohort(&'a str),
    Nothing,
}

/// Of the cohorts of an owner.
pub enum Forget {
    All,
    AllBut(BTreeSet<String>),
    /// Whose ids begin with this.
    Beginning(String),
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

    /// Waits for a turn to evaluate something of this cost; not when too many wait already.
    async fn turn(&self, app: &str, cost: u64) -> Result<Turn, Problem>;

    /// The same for work that nobody sits and waits for: it is never turned away.
    async fn turn_patiently(&self, app: &str, cost: u64) -> Turn;

    /// What the app's catalogue says, also of an app that is disabled.
    async fn settings(&self, app: &str) -> Result<AppSettings, Problem>;

    /// The snapshot of an app that is not disabled.
    async fn snapshot(&self, app: &str) -> Result<Arc<Snapshot>, Problem>;

    /// The app's data as published by now, also of an app that is disabled; None where it has none.
    async fn refreshed(&self, app: &str) -> Result<Option<Arc<Snapshot>>, Problem>;

    /// Whether the user of this place is in a cohort that was kept.
    async fn is_member(&self, app: &str, cohort: &str, place: Place) -> Result<bool, Problem>;

    /// Members of a cohort that was kept.
    async fn members(&self, app: &str, cohort: &str) -> Result<Users, Problem>;

    /// The cohort of this id, or the newest of the segment or list of this id.
    async fn newest(&self, app: &str, id: &str) -> Result<Newest, Problem>;

    /// The cohorts of a segment or list that are kept, from old to new, each with its day; a cohort by itself.
    async fn cohorts_of(&self, app: &str, id: &str) -> Result<Vec<(Ds, String)>, Problem>;

    async fn export(&self, export: ToExport) -> Result<Exported, Problem>;

    async fn keep(&self, cohort: ToKeep) -> Result<(), Problem>;

    /// What `owner`, an experiment or what is followed, needs from now on, instead of what it needed before. What an
    /// experiment needs can't be deleted, and no cohort that is needed goes by itself.
    async fn claim(&self, app: &str, owner: &str, claim: Claim<'_>) -> Result<(), Problem>;

    /// App and owner of everything that is claimed.
    async fn claimants(&self) -> Result<Vec<(String, String)>, Problem>;

    /// Removes cohorts of an owner, unless they are needed. Of all nothing goes where a rule or an experiment needs any:
    /// that is the problem `cohort_in_use`.
    async fn forget(&self, app: &str, owner: &str, which: Forget) -> Result<(), Problem>;
}

/// The smallest crowd that the app lets be shown.
pub fn floor(snapshot: &Snapshot) -> Floor {
    snapshot.catalogue().settings.floor()
}

pub fn size(users: &[RoaringBitmap]) -> u64 {
    users.iter().map(RoaringBitmap::len).sum()
}
