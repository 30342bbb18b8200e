//! Drops what is past its retention from what an app publishes.

use muster_days::Ds;
use muster_profile_store::{Kept, Manifest, Result, Store};
use serde::Serialize;

/// What an app lost, and what it takes now.
#[derive(Debug, Default, Serialize)]
pub struct Dropped {
    /// The first day that is kept; null: all are.
    pub labels_from: Option<Ds>,
    pub events_from: Option<Ds>,
    /// The app is disabled: no more is kept than its basics rest upon, and nothing where it has none.
    pub disabled: bool,
    /// Days of labels, of events, and sums of weeks that were dropped.
    pub label_days: usize,
    pub event_days: usize,
    pub weeks: usize,
    /// Of the files that the app's published data consist of. What was dropped leaves the disk later, when
    /// its readers have had their time.
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// What an app's settings come to.
pub struct Keep<'a> {
    pub disabled: bool,
    /// What is kept of what is published now.
    pub of: &'a dyn Fn(&Manifest) -> Kept,
}

pub struct Watch<'a> {
    /// Asked when all is ready and the old data are still shown.
    pub may_publish: &'a dyn Fn() -> bool,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Waits for the app's lock. None when it may not publish; then nothing is dropped. Done again it finds
/// nothing more to drop; killed anywhere it has dropped all or nothing.
///
/// # Errors
/// Those of the store; a publication that another one overtook is a conflict, and does what is left when
/// it is done again.
pub fn expire(store: &Store, app: &str, keep: &Keep<'_>, watch: &Watch<'_>) -> Result<Option<Dropped>> {
    // An app without data would get a manifest by being asked.
    if store.users(app)?.is_none() {
        return Ok(Some(Dropped::default()));
    }
    let mut publication = store.publish(app)?;
    let bytes_before = publication.bytes()?;
    let kept = (keep.of)(publication.manifest());
    let expired = publication.expire(kept);
    let dropped = Dropped {
        labels_from: kept.labels_from,
        events_from: kept.events_from,
        disabled: keep.disabled,
        label_days: expired.label_days,
        event_days: expired.event_days,
        weeks: expired.weeks,
        bytes_before,
        bytes_after: publication.bytes()?,
    };
    // An app that gets no more imports gets rid of its retired files here.
    if expired.is_empty() && !publication.is_overdue(watch.now_ms) {
        return Ok(Some(dropped));
    }
    if !(watch.may_publish)() {
        return Ok(None);
    }
    publication.commit(watch.now_ms)?;
    Ok(Some(dropped))
}
