//! The apps there are, and how much each holds.

use muster_days::Ds;
use muster_http::{Apps, Page};
use muster_profile_store::{Sizes, Snapshot, Store};
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::Paging;
use crate::error::{Error, Result};
use crate::reading::on_snapshot;

/// An app with published data.
#[derive(Debug, Serialize, ToSchema)]
pub struct App {
    pub app_id: String,
    /// Users that a label or an event has ever named.
    pub users: u64,
    /// How many labels it has.
    pub labels: usize,
    /// How many events it has.
    pub events: usize,
    /// The newest day that anything is published for.
    #[schema(value_type = Option<u32>, required, example = 20261101)]
    pub newest_ds: Option<Ds>,
    /// Hash buckets that the users are spread over; fixed for the life of the app.
    pub buckets: u32,
    /// Goes up by one with every publication.
    pub generation: u64,
    /// Bytes of the files that the published data consist of. What a publication has replaced leaves the
    /// storage later; members of cohorts are not among them.
    pub bytes: u64,
    /// What the bytes hold.
    pub bytes_of: BytesOf,
}

/// The bytes of an app's published data, by what they hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct BytesOf {
    /// Days of labels.
    pub labels: u64,
    /// Days of events.
    pub events: u64,
    /// Sums of the weeks of events.
    pub weeks: u64,
    /// Values of dimensions.
    pub dictionaries: u64,
    /// Ids of users.
    pub directory: u64,
}

impl From<Sizes> for BytesOf {
    fn from(sizes: Sizes) -> BytesOf {
        let Sizes { labels, events, weeks, dictionaries, directory } = sizes;
        BytesOf { labels, events, weeks, dictionaries, directory }
    }
}

/// The app as it is published.
pub fn describe(snapshot: &Snapshot) -> Result<App> {
    let manifest = snapshot.manifest();
    let label_days = manifest.labels.values().filter_map(|label| label.days.keys().next_back());
    let event_days = manifest.events.values().filter_map(|event| event.days.keys().next_back());
    let sizes = snapshot.sizes()?;
    Ok(App {
        app_id: manifest.app.clone(),
        users: snapshot.directory().users(),
        labels: manifest.labels.len(),
        events: manifest.events.len(),
        newest_ds: label_days.chain(event_days).max().copied(),
        buckets: manifest.buckets,
        generation: manifest.generation,
        bytes: sizes.total(),
        bytes_of: sizes.into(),
    })
}

/// Those of `apps` that have data, by id.
pub fn list_apps(store: &Store, apps: &Apps, paging: &Paging<String>) -> Result<Page<App>> {
    let names: Vec<String> = match apps {
        Apps::All => store.apps()?,
        Apps::Some(names) => names.iter().cloned().collect(),
    };
    let rest = names.iter().filter(|name| paging.after.as_ref().is_none_or(|after| *name > after));
    let mut rows = Vec::new();
    for name in rest {
        match on_snapshot(store, name, describe) {
            Ok(app) => rows.push(app),
            // A key may name apps that have no data yet.
            Err(Error::UnknownApp(_)) => continue,
            // One damaged app must not hide the others; asked for by itself it is an error.
            Err(error) => tracing::error!(app = name, %error, "an app is left out of the list"),
        }
        if rows.len() == paging.fetch() {
            break;
        }
    }
    Ok(paging.page(rows, |app| app.app_id.clone()))
}
