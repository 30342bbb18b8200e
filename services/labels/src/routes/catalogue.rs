//! `/v1/apps/{app}/catalogue`: the whole document, many entries at once, and its versions.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_catalogue::AppCatalogue;
use muster_http::{Caller, Page, PageQuery, Problem, Role};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::refused::{CanNotChange, NoSuchApp, Refused};
use super::versioned::{author, named_app, sheet_with_version, with_version};
use crate::Labels;
use crate::error::Error;
use crate::operations::catalogue::{self as operation, Change, ChangeWithEntries, Changed};
use crate::operations::paging::Paging;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FormatParams {
    /// `json` (the default): the whole document; `csv`: its labels and tags as a table. Either can be
    /// loaded as it is.
    #[param(required = false, value_type = String)]
    format: Option<String>,
}

/// What the app's team has said of its data: settings, labels and tags, base crowds, events.
#[utoipa::path(
    get, path = "/v1/apps/{app}/catalogue", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), FormatParams),
    responses(
        (status = 200, description = "The document; `ETag` is its version.", content(
            (AppCatalogue = "application/json"),
            (String = "text/csv", example = "label_id,label_name,tag_id,tag_name,tag_name:zh\n10001,gender,,,\n10001,,1,male,男\n")
        )),
        Refused, NoSuchApp
    )
)]
pub async fn get(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    params: Query<FormatParams>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Read)?;
    let csv = match params.format.as_deref().unwrap_or("json") {
        "json" => false,
        "csv" => true,
        other => return Err(Error::UnknownFormat(other.to_owned()).into()),
    };
    let document = operation::current(&labels, &app).await?;
    if document.version == 0 {
        labels.read(&caller, app.into_inner(), |_| Ok(())).await?;
    }
    if csv {
        return Ok(sheet_with_version(document.version, operation::write_sheet(&document)?));
    }
    Ok(with_version(document.version, &document))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoadParams {
    /// `true`: only say what would change.
    #[param(required = false)]
    #[serde(default)]
    dry_run: bool,
}

/// Load many entries at once: those that are named are replaced, all others stay; all or nothing.
///
/// JSON as the catalogue is read, whole or in part; or labels and tags as CSV, with the columns `label_id`,
/// `label_name`, `group`, `owner`, `description`, `retired`, `tag_id`, `tag_name`, `tag_retired`,
/// `label_name:<language>` and `tag_name:<language>`, of which empty ones leave what was there.
#[utoipa::path(
    post, path = "/v1/apps/{app}/catalogue", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), LoadParams),
    request_body(content(
        (AppCatalogue = "application/json"),
        (String = "text/csv", example = "label_id,label_name,tag_id,tag_name,tag_name:zh\n10001,gender,1,male,男\n")
    )),
    responses(
        (status = 200, description = "What has changed, and the version now.", body = Changed),
        Refused, CanNotChange
    )
)]
pub async fn load(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    params: Query<LoadParams>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let app = named_app(&caller, app.into_inner())?;
    let mut author = author(&caller, &request)?;
    author.dry_run = params.dry_run;
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let document = match kind.split(';').next().unwrap_or_default().trim() {
        "text/csv" => operation::read_sheet(&body, &operation::current(&labels, &app).await?)?,
        _ => object(&body)?,
    };
    Ok(Json(operation::load(&labels, &app, &author, document).await?))
}

/// The versions of the catalogue, newest first: who changed what and when.
#[utoipa::path(
    get, path = "/v1/apps/{app}/catalogue/changes", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), PageQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Change>), Refused, NoSuchApp)
)]
pub async fn changes(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Change>>, Problem> {
    caller.require(&app, Role::Read)?;
    let paging = Paging::from_query(&page)?;
    Ok(Json(operation::changes(&labels, &app, &paging).await?))
}

/// One version: every entry that it replaced, before and after.
#[utoipa::path(
    get, path = "/v1/apps/{app}/catalogue/changes/{version}", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), ("version" = u32, Path, description = "From 1.")),
    responses(
        (status = 200, description = "The version.", body = ChangeWithEntries), Refused,
        (status = 404, description = "`version_not_found`", body = muster_http::ProblemBody,
            content_type = "application/problem+json")
    )
)]
pub async fn one_change(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, u32)>,
) -> Result<Json<ChangeWithEntries>, Problem> {
    let (app, version) = path.into_inner();
    caller.require(&app, Role::Read)?;
    if version == 0 {
        return Err(Error::NoVersion(version).into());
    }
    Ok(Json(operation::one_change(&labels, &app, version).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version to go back to; 0: before anybody said anything.
    version: u32,
}

/// Make the catalogue what it was at a version. That is a new version itself, and can be taken back too.
#[utoipa::path(
    post, path = "/v1/apps/{app}/catalogue/rollback", tag = "catalogue",
    params(("app" = String, Path, description = "App id.")), request_body = Rollback,
    responses(
        (status = 200, description = "What has changed, and the version now.", body = Changed),
        Refused, CanNotChange,
        (status = 404, description = "`version_not_found`", body = muster_http::ProblemBody,
            content_type = "application/problem+json")
    )
)]
pub async fn rollback(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let app = named_app(&caller, app.into_inner())?;
    let author = author(&caller, &request)?;
    let Rollback { version } =
        serde_json::from_slice(&body).map_err(|error| Error::Body(error.to_string()))?;
    Ok(Json(operation::rollback(&labels, &app, &author, version).await?))
}

/// The body as a JSON object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Body(format!("The body is no JSON object: {error}")))
}
