//! `/v1/apps/{app}/lists`: users by their uploaded ids.

use std::io::{self, Read};

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use actix_web::web::{Bytes, Data, Json, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use muster_http::{Caller, Kind, Page, PageQuery, Problem, ProblemBody, Role};
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, channel};
use utoipa::{IntoParams, ToSchema};

use crate::Segments;
use crate::answers::{ListVersion, UserList};
use crate::error::Error;
use crate::operations::{self, Filling, Mode, Upload, UploadFormat};
use crate::store;

/// Share of rows that may be refused when an upload says nothing of it; that of imports.
const REJECT_LIMIT: f64 = 0.01;
/// Bytes of a refused body that are taken in all the same.
const DRAINED: usize = 64 << 20;
/// Pieces of a body that may wait to be read.
const PIECES: usize = 8;

/// A list as it is created or renamed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBody {
    name: String,
}

/// Create a list. It is filled by uploads.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/lists",
    tag = "lists",
    operation_id = "createList",
    params(("app" = String, Path)),
    request_body = ListBody,
    responses(
        (status = 201, description = "The list, with nobody on it yet", body = UserList),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    body: Json<ListBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Segment)?;
    let list = operations::create_list(&segments, &app, body.into_inner().name, Utc::now()).await?;
    let location = format!("/v1/apps/{app}/lists/{}", list.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(list))
}

/// List lists, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/lists",
    tag = "lists",
    operation_id = "listLists",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "Lists", body = Page<UserList>)),
)]
pub async fn all(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<UserList>>, Problem> {
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::lists(&segments.db, &app, page.cursor.as_deref(), size).await?;
    let page = Page::cut(rows, size, |row| row.id.clone());
    let items = operations::shown_lists(&segments, &app, page.items).await?;
    Ok(Json(Page { items, next: page.next }))
}

/// Show a list.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/lists/{id}",
    tag = "lists",
    operation_id = "getList",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The list", body = UserList),
        (status = 404, description = "No such list", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<UserList>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    Ok(Json(operations::show_list(&segments, &app, &id).await?))
}

/// Rename a list.
#[utoipa::path(
    put,
    path = "/v1/apps/{app}/lists/{id}",
    tag = "lists",
    operation_id = "renameList",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body = ListBody,
    responses(
        (status = 200, description = "The list as it is now", body = UserList),
        (status = 404, description = "No such list", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn rename(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<ListBody>,
) -> Result<Json<UserList>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    Ok(Json(operations::rename_list(&segments, (&app, &id), &body.name, Utc::now()).await?))
}

/// Delete a list, and its cohorts unless a rule names them. The users stay.
#[utoipa::path(
    delete,
    path = "/v1/apps/{app}/lists/{id}",
    tag = "lists",
    operation_id = "deleteList",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "No such list", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`list_in_use`: segments, or experiments that have not ended, name it", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    // Its own id: a database may take one that only resembles it.
    let id = operations::list(&segments, &app, &id).await?.id;
    operations::require_unused(&segments, &app, ("list", &id)).await?;
    if !operations::delete_list(&segments, &app, &id, Utc::now()).await? {
        return Err(Error::NotFound("such list").into());
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// What the upload does: `add` its users, `remove` them, or `replace` all that are on the list.
    #[param(value_type = String, example = "add")]
    mode: Option<String>,
    /// Share of rows, 0 to 1, that may hold no id before nothing of the upload counts; 0.01 when not given. Ids that
    /// the app does not know are reported, not refused.
    #[param(required = false, value_type = f64, minimum = 0, maximum = 1)]
    reject_limit: Option<f64>,
}

/// Upload user ids to a list.
///
/// The body is CSV with the column `user_id`, or NDJSON with a `user_id` a line; it may be gzip, said by
/// `Content-Encoding: gzip`. The answer comes once the list is as the upload leaves it, and counts every row: those on
/// the list, repeated ones, rows without an id, and ids that the app has no data of, which the report names one by one.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/lists/{id}/users",
    tag = "lists",
    operation_id = "uploadUsers",
    params(("app" = String, Path), ("id" = String, Path), UploadQuery),
    request_body(content((Vec<u8> = "text/csv"), (Vec<u8> = "application/x-ndjson"))),
    responses(
        (status = 200, description = "The list after the upload", body = ListVersion),
        (status = 400, description = "No mode, or a body that broke off", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such list", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Neither CSV nor NDJSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`no_user_id`, `no_users`, `no_known_users`, `reject_limit_exceeded`, `line_too_long`, `too_many_unknown`: the list is as it was", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn upload(
    segments: Data<Segments>,
    caller: Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<UploadQuery>,
    body: Payload,
) -> Result<Json<ListVersion>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let Some(mode) = query.mode.as_deref().and_then(Mode::from_name) else {
        return Err(bad_parameter("mode", "`mode` is `add`, `remove` or `replace`."));
    };
    let reject_limit = query.reject_limit.unwrap_or(REJECT_LIMIT);
    if !(0.0..=1.0).contains(&reject_limit) {
        return Err(bad_parameter("reject_limit", "`reject_limit` is a share from 0 to 1."));
    }
    let (format, gzip) = (format(request.headers())?, gzip(request.headers())?);
    let list = operations::list(&segments, &app, &id).await?.id;
    let filling = Filling { app, list, mode, format, reject_limit, by: caller.id.clone() };
    let upload = receive(&segments, &filling, gzip, body).await?;
    // On a task of its own: a client that goes now leaves no half of it.
    let fill = async move { operations::fill(&segments, &filling, upload, Utc::now()).await };
    Ok(Json(tokio::spawn(fill).await.map_err(Problem::internal)??))
}

fn bad_parameter(name: &str, detail: &str) -> Problem {
    Problem::new(Kind::BadRequest, "invalid_parameter", detail).with_fault(name, "invalid", None)
}

fn format(headers: &HeaderMap) -> Result<UploadFormat, Problem> {
    let declared = headers.get(CONTENT_TYPE).map_or(Ok("text/csv"), |value| value.to_str());
    let name = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "text/csv" | "application/csv" => Ok(UploadFormat::Csv),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(UploadFormat::Ndjson),
        _ => {
            let detail = "User ids come as `text/csv` or `application/x-ndjson`.";
            Err(Problem::new(Kind::Unsupported, "unsupported_media_type", detail))
        }
    }
}

fn gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let declared = headers.get(CONTENT_ENCODING).map_or(Ok(""), |value| value.to_str());
    match declared.unwrap_or("?").to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => {
            let detail = "The content encoding is gzip or none.";
            Err(Problem::new(Kind::Unsupported, "unsupported_encoding", detail))
        }
    }
}

/// Reads the body on a thread of its own while it comes in.
async fn receive(
    segments: &Segments,
    filling: &Filling,
    gzip: bool,
    mut body: Payload,
) -> Result<Upload, Problem> {
    let (to, from) = channel(PIECES);
    let (worker, what) = (segments.clone(), filling.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let body = Pieces { from, piece: Bytes::new() };
        match gzip {
            true => operations::read_upload(&worker, &what, MultiGzDecoder::new(body)),
            false => operations::read_upload(&worker, &what, body),
        }
    });
    let mut broken = None;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            let told = io::Error::other(error.to_string());
            broken = Some(broken_off(error));
            told
        });
        // Nobody reads on once something is wrong with what was read.
        if to.send(piece).await.is_err() || broken.is_some() {
            break;
        }
    }
    drop(to);
    let read = reading.await.map_err(Problem::internal)?;
    if read.is_err() && broken.is_none() {
        drain(body).await;
    }
    match broken {
        Some(problem) => Err(problem),
        None => Ok(read?),
    }
}

/// Takes in what is left of a body that is refused: a client that is still sending does not look for the answer.
async fn drain(mut body: Payload) {
    let mut left = DRAINED;
    while let Some(Ok(piece)) = body.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

fn broken_off(error: PayloadError) -> Problem {
    match error {
        PayloadError::Overflow => {
            Problem::new(Kind::TooLarge, "body_too_large", "The body is larger than uploads may be.")
        }
        error => Problem::new(Kind::BadRequest, "body_unreadable", format!("The body broke off: {error}.")),
    }
}

/// A body as something that blocks until more of it is there.
struct Pieces {
    from: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(out.len().min(self.piece.len()));
        out[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// List what uploads left, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/lists/{id}/versions",
    tag = "lists",
    operation_id = "listListVersions",
    params(("app" = String, Path), ("id" = String, Path), PageQuery),
    responses(
        (status = 200, description = "Versions", body = Page<ListVersion>),
        (status = 404, description = "No such list", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn versions(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ListVersion>>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let id = operations::list(&segments, &app, &id).await?.id;
    let size = page.size()?;
    let rows = store::list_versions(&segments.db, &app, &id, page.number()?, size).await?;
    let page = Page::cut(rows, size, |row| row.version.to_string());
    let items = operations::shown_versions(&segments, &app, page.items).await?;
    Ok(Json(Page { items, next: page.next }))
}

/// The ids of an upload that the app does not know, and the rows that hold none.
///
/// CSV with the columns `line,user_id,reason`: `unknown`, or why the row was refused. Each unknown id once.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/lists/{id}/versions/{version}/report",
    tag = "lists",
    operation_id = "downloadListReport",
    params(("app" = String, Path), ("id" = String, Path), ("version" = u32, Path)),
    responses(
        (status = 200, description = "The report", body = String, content_type = "text/csv"),
        (status = 404, description = "No such list or version, nothing to report, or no longer kept", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn report(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String, u32)>,
) -> Result<HttpResponse, Problem> {
    let (app, id, version) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let id = operations::list(&segments, &app, &id).await?.id;
    let row = store::list_version(&segments.db, &app, (&id, version)).await?;
    let row = row.ok_or(Error::NotFound("such version"))?;
    let store = segments.profiles.clone();
    let read = tokio::task::spawn_blocking(move || store.cohort_report(&app, &row.cohort_id)).await;
    let report = read.map_err(Problem::internal)?.map_err(Error::from)?;
    let report = report.ok_or(Error::NotFound("report of this version"))?;
    let disposition = format!("attachment; filename=\"{id}-{version}.csv\"");
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .body(report))
}
