//! What the routes that change a catalogue share: who may, on which version, and the answer's tag.

use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Caller, Kind, Problem, Role};
use serde::Serialize;

use crate::operations::catalogue::Author;

/// Bytes of an app's id, as imports take them.
const LONGEST_APP: usize = 128;

/// An app may be described before anything is imported, so any name will do that an import would take.
pub fn named_app(caller: &Caller, app: String) -> Result<String, Problem> {
    caller.require(&app, Role::Admin)?;
    if app.is_empty() || app.len() > LONGEST_APP {
        let detail = format!("The id of an app has 1 to {LONGEST_APP} bytes.");
        return Err(Problem::new(Kind::BadRequest, "invalid_app", detail));
    }
    Ok(app)
}

/// `If-Match` holds the version that the change was made for, as the `ETag` of the document has it.
pub fn author(caller: &Caller, request: &HttpRequest) -> Result<Author, Problem> {
    let author = |if_version| Author { id: caller.id.clone(), if_version, dry_run: false };
    let Some(given) = request.headers().get(IF_MATCH) else { return Ok(author(None)) };
    let given = given.to_str().unwrap_or_default().trim();
    if given == "*" {
        return Ok(author(None));
    }
    let version = given.trim_start_matches("W/").trim_matches('"').parse();
    let version = version.map_err(|_| {
        let detail = "`If-Match` is the `ETag` of the catalogue: its version in quotes.";
        Problem::new(Kind::BadRequest, "invalid_if_match", detail)
    })?;
    Ok(author(Some(version)))
}

/// 200 with the document's version as its tag. Weak: it may be sent compressed.
pub fn with_version(version: u32, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header(tag(version)).json(body)
}

/// Likewise, of a table.
pub fn sheet_with_version(version: u32, sheet: Vec<u8>) -> HttpResponse {
    let kind = (CONTENT_TYPE, "text/csv; charset=utf-8");
    HttpResponse::Ok().insert_header(tag(version)).insert_header(kind).body(sheet)
}

fn tag(version: u32) -> (HeaderName, String) {
    (ETAG, format!("W/\"{version}\""))
}
