//! What the service counts for `/metrics`.

use std::time::Duration;

/// A publication became visible: its files synced and the manifest replaced.
pub fn published(took: Duration) {
    metrics::histogram!("muster_store_publish_seconds").record(took.as_secs_f64());
}

/// Rows of a finished import.
pub fn rows(kind: &str, published: u64, rejected: u64) {
    metrics::counter!("muster_import_rows_total", "kind" => kind.to_owned(), "outcome" => "published")
        .increment(published);
    metrics::counter!("muster_import_rows_total", "kind" => kind.to_owned(), "outcome" => "rejected")
        .increment(rejected);
}
