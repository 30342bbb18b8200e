//! One change: what it replaces is checked, kept as a version, and shown.

use std::collections::BTreeSet;

use muster_catalogue::{AppCatalogue, Entry, Kind};
use muster_jobs::{NewJob, Priority};
use muster_profile_store::Store;
use serde::Serialize;
use utoipa::ToSchema;

use super::check::check;
use crate::Labels;
use crate::error::{Error, Result};
use crate::store::{self, ChangeRow};

/// Somebody is bound to win a race for a version within this many rounds.
const ROUNDS: usize = 10;
/// Who owns the jobs that nobody's request has asked for.
const LOCAL: &str = "local";
/// Letters of what a change says about itself.
const WHAT: usize = 1000;

/// Who changes something, and under which condition.
pub struct Author {
    /// Id of a key.
    pub id: String,
    /// The version that the change was made for; any when None.
    pub if_version: Option<u32>,
    /// Only say what would change.
    pub dry_run: bool,
}

/// What a change came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// The catalogue's version now. It stays when nothing was different, and in a dry run.
    pub version: u32,
    pub dry_run: bool,
    /// The entries that are different from before.
    pub changed: Vec<EntryName>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryName {
    pub kind: Kind,
    pub name: String,
}

/// The app's document as last changed. What its readers see is brought up to it, should they be behind.
pub async fn current(labels: &Labels, app: &str) -> Result<AppCatalogue> {
    let version = store::newest(&labels.db, app).await?;
    let document = store::document(&labels.db, app, version).await?;
    // Whoever kept it did not come to show it, and what follows it neither.
    if version > 0 && show(labels, app, document.clone()).await? {
        follow_up(labels, app, LOCAL, &all_kinds(labels)).await?;
    }
    Ok(document)
}

/// Replaces the entries that `edit` answers of the document as it is; the others stay. A refusal says where
/// in `edit`'s entries it lies: `place` gives the JSON pointer of one.
pub async fn change(
    labels: &Labels,
    app: &str,
    author: &Author,
    place: impl Fn(&Entry) -> String,
    edit: impl Fn(&AppCatalogue) -> Result<Vec<Entry>>,
) -> Result<Changed> {
    for _ in 0..ROUNDS {
        let version = store::newest(&labels.db, app).await?;
        if let Some(expected) = author.if_version.filter(|expected| *expected != version) {
            return Err(Error::Moved { expected, version });
        }
        let old = store::document(&labels.db, app, version).await?;
        let mut next = AppCatalogue { version: version + 1, ..old.clone() };
        let mut entries = edit(&old)?;
        let mut touched: BTreeSet<Kind> = entries.iter().map(|entry| entry.kind).collect();
        let before = old.entries();
        let differs = |entry: &Entry| before.get(&(entry.kind, entry.name.clone())) != entry.body.as_ref();
        // What stays as it is need not be good by what is known today: a cohort that it names may be gone.
        entries.retain(differs);
        check(labels, app, &mut next, &mut entries, &place).await?;
        entries.retain(differs);
        let name = |entry: &Entry| EntryName { kind: entry.kind, name: entry.name.clone() };
        let changed = entries.iter().map(name).collect();
        if author.dry_run {
            return Ok(Changed { version, dry_run: true, changed });
        }
        if entries.is_empty() {
            // Perhaps it is asked for again because it was kept, and no more came of it.
            if show(labels, app, old).await? {
                touched = all_kinds(labels);
            }
            follow_up(labels, app, &author.id, &touched).await?;
            return Ok(Changed { version, dry_run: false, changed });
        }
        let row = ChangeRow {
            version: next.version,
            changed_at: chrono::Utc::now().timestamp_millis(),
            changed_by: author.id.clone(),
            what: describe(&entries),
        };
        if !store::append(&labels.db, app, &row, &entries).await? {
            continue;
        }
        let version = next.version;
        show(labels, app, next).await?;
        follow_up(labels, app, &author.id, &touched).await?;
        return Ok(Changed { version, dry_run: false, changed });
    }
    Err(Error::inside(format!("the catalogue of {app} was changed by others again and again")))
}

/// `label 10001, base_crowd vip and 3 more`.
fn describe(entries: &[Entry]) -> String {
    let mut text = String::new();
    for (n, entry) in entries.iter().enumerate() {
        let one = format!("{} {}", entry.kind.name(), entry.name);
        if text.chars().count() + one.chars().count() > WHAT - 30 {
            return format!("{text} and {} more", entries.len() - n);
        }
        let comma = if n > 0 { ", " } else { "" };
        text = format!("{text}{comma}{}", one.trim_end());
    }
    text
}

/// Shows a document to the other services, unless they see it or a newer one: then this is false.
async fn show(labels: &Labels, app: &str, document: AppCatalogue) -> Result<bool> {
    let app = app.to_owned();
    let show = move |store: &Store| {
        let behind = store.catalogue(&app)?.version < document.version;
        store.show_catalogue(&app, &document)?;
        Ok(behind)
    };
    labels.blocking(show).await
}

/// Has done what entries of these kinds ask for.
async fn follow_up(labels: &Labels, app: &str, owner: &str, touched: &BTreeSet<Kind>) -> Result<()> {
    let asked = labels.follow_up.iter().filter(|(of, _)| touched.contains(of));
    let kinds: BTreeSet<&'static str> = asked.map(|(_, kind)| *kind).collect();
    for kind in kinds {
        let job = NewJob::of_app(app, owner, kind, Priority::Routine);
        labels.jobs.enqueue_unless_waiting(job).await?;
    }
    Ok(())
}

/// Every kind of entry that something follows.
fn all_kinds(labels: &Labels) -> BTreeSet<Kind> {
    labels.follow_up.iter().map(|(kind, _)| *kind).collect()
}

/// Shows what was kept but not shown, because a process ended in between or the storage was away. Nobody
/// knows whether one ended between showing and what follows: so that is done for every app. A job that finds
/// nothing new is soon done.
pub async fn show_pending(labels: &Labels) -> Result<()> {
    for (app, version) in store::apps(&labels.db).await? {
        let known = app.clone();
        let shown = labels.blocking(move |store| Ok(store.catalogue(&known)?.version)).await?;
        if shown < version {
            current(labels, &app).await?;
        }
        follow_up(labels, &app, LOCAL, &all_kinds(labels)).await?;
    }
    Ok(())
}
