//! What the service counts for `/metrics`.

/// Rows of a finished import.
pub fn rows(kind: &str, published: u64, rejected: u64) {
    metrics::counter!("muster_import_rows_total", "kind" => kind.to_owned(), "outcome" => "published")
        .increment(published);
    metrics::counter!("muster_import_rows_total", "kind" => kind.to_owned(), "outcome" => "rejected")
        .increment(rejected);
}
