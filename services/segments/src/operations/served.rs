//! Whether an app is served: of one that is disabled there is less than rules may ask for, or nothing, and no
//! answer is better than one that rests on that.

use std::sync::Arc;

use muster_profile_store::Snapshot;

use crate::Segments;
use crate::error::Error;

/// The data of an app that is not disabled. Every use of a rule begins here.
pub fn snapshot(segments: &Segments, app: &str) -> Result<Arc<Snapshot>, Error> {
    let enabled = !segments.start_disabled;
    if let Some(snapshot) = segments.profiles.snapshot(app)? {
        let served = snapshot.catalogue().settings.is_enabled(enabled);
        return served.then_some(snapshot).ok_or_else(|| Error::Disabled(app.to_owned()));
    }
    // It may be described, and have no data because it is disabled.
    let catalogue = segments.profiles.catalogue(app)?;
    let disabled = catalogue.version > 0 && !catalogue.settings.is_enabled(enabled);
    Err(if disabled { Error::Disabled(app.to_owned()) } else { Error::NoApp(app.to_owned()) })
}

/// For what is only asked for now, and done later.
pub async fn require_served(segments: &Segments, app: &str) -> Result<(), Error> {
    let (segments, app) = (segments.clone(), app.to_owned());
    let looked = tokio::task::spawn_blocking(move || snapshot(&segments, &app).map(drop)).await;
    looked.map_err(|error| Error::Inside(error.to_string()))?
}
