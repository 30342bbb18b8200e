//! The privacy floor of an app.

use muster_catalogue::Floor;

use crate::Segments;
use crate::error::Error;

/// The smallest crowd that the app lets be shown now.
pub async fn floor(segments: &Segments, app: &str) -> Result<Floor, Error> {
    let (store, app) = (segments.profiles.clone(), app.to_owned());
    let read = tokio::task::spawn_blocking(move || store.catalogue(&app)).await;
    Ok(read.map_err(|error| Error::Inside(error.to_string()))??.settings.floor())
}
