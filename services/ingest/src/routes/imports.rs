//! `POST /v1/imports`: a file in, a job out.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Caller, Kind as Status, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Ingest;
use crate::formats::{Format, Kind, ReadError};
use crate::operations::{Upload, accept};
use crate::rejects::RejectLimit;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// `labels`, `behavior` or `events`.
    kind: Option<String>,
    /// Only rows of this app may be in the file; others are refused. The job then belongs to the app.
    app: Option<String>,
    /// What to call the file in the reject report.
    file: Option<String>,
    /// Share of rows, 0 to 1, that may be refused before nothing is published.
    reject_limit: Option<f64>,
}

/// Import a file.
///
/// The body is the file: CSV or Parquet for labels and behavior, NDJSON for events (labels and behavior
/// may come as NDJSON too). It may be gzip, said by `Content-Encoding: gzip`. The answer comes once the
/// file is safely stored; the job tells what became of it.
#[utoipa::path(
    post,
    path = "/v1/imports",
    tag = "imports",
    operation_id = "createImport",
    params(ImportQuery),
    request_body(
        content(
            (Vec<u8> = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (Vec<u8> = "application/x-ndjson"),
        ),
    ),
    responses(
        (status = 202, description = "The file is stored, and the job will import it", body = muster_jobs::Job,
            headers(("Location" = String, description = "The job"))),
        (status = 400, description = "No kind, no body", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The file is too large", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not a format of this kind", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    ingest: Data<Ingest>,
    caller: Caller,
    request: HttpRequest,
    query: Query<ImportQuery>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let upload = upload(query.into_inner(), request.headers())?;
    let job = accept(&ingest, &caller, upload, body).await?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job))
}

fn upload(query: ImportQuery, headers: &HeaderMap) -> Result<Upload, Problem> {
    let Some(kind) = query.kind else {
        return Err(bad_parameter("kind", "missing", "Say what the file holds: labels, behavior or events."));
    };
    let kind: Kind =
        kind.parse().map_err(|error: ReadError| bad_parameter("kind", "unknown_kind", error.to_string()))?;
    let reject_limit = query.reject_limit.map(RejectLimit::new).transpose();
    let reject_limit =
        reject_limit.map_err(|error| bad_parameter("reject_limit", "not_a_share", error.to_string()))?;
    let format = match header(headers, &CONTENT_TYPE)? {
        Some(declared) => Format::of_content_type(declared).map_err(unsupported)?,
        None if kind == Kind::Events => Format::Ndjson,
        None => Format::Csv,
    };
    format.check(kind).map_err(unsupported)?;
    let gzip = match header(headers, &CONTENT_ENCODING)?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => false,
        Some("gzip" | "x-gzip") => true,
        Some(_) => {
            let detail = "The content encoding is gzip or none.";
            return Err(Problem::new(Status::Unsupported, "unsupported_encoding", detail));
        }
    };
    Ok(Upload { kind, format, gzip, app: query.app, file: query.file, reject_limit })
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| bad_parameter(name.as_str(), "not_text", "The header holds bytes that are no text."))
}

fn bad_parameter(name: &str, code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Status::BadRequest, "invalid_parameter", detail).with_fault(name, code, None)
}

fn unsupported(error: ReadError) -> Problem {
    Problem::new(Status::Unsupported, "unsupported_media_type", format!("{error}."))
}
