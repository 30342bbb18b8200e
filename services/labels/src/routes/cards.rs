//! One entry of the catalogue: an app's settings, a label, a base crowd of the app's own, an event.

use actix_web::web::{Bytes, Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use muster_catalogue::{AppSettings, BaseCrowdCard, Entry, EventCard, Kind, LabelCard};
use muster_http::{Caller, Problem, Role};
use serde_json::Value;

use super::catalogue::object;
use super::refused::{CanNotChange, NoSuchApp, Refused};
use super::versioned::{author, named_app, with_version};
use crate::Labels;
use crate::error::{Error, Result as Found, What};
use crate::operations::catalogue::{self as operation, Changed};
use crate::operations::list_labels::find_label;

/// The app's settings; what is not among them is as the deployment's configuration says.
#[utoipa::path(
    get, path = "/v1/apps/{app}/settings", tag = "catalogue",
    params(("app" = String, Path, description = "App id.")),
    responses((status = 200, description = "The settings.", body = AppSettings), Refused, NoSuchApp)
)]
pub async fn get_settings(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Read)?;
    let document = operation::current(&labels, &app).await?;
    if document.version == 0 {
        labels.read(&caller, app.into_inner(), |_| Ok(())).await?;
    }
    Ok(with_version(document.version, &document.settings))
}

/// Replace the app's settings, whole.
#[utoipa::path(
    put, path = "/v1/apps/{app}/settings", tag = "catalogue",
    params(("app" = String, Path, description = "App id.")), request_body = AppSettings,
    responses((status = 200, description = "The version now.", body = Changed), Refused, CanNotChange)
)]
pub async fn put_settings(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    put(labels, caller, app.into_inner(), (Kind::Settings, String::new()), request, body).await
}

/// What the team says of a label and its tags.
#[utoipa::path(
    get, path = "/v1/apps/{app}/labels/{label}", tag = "catalogue",
    params(
        ("app" = String, Path, description = "App id."),
        ("label" = String, Path, description = "The label's id or name.")
    ),
    responses((status = 200, description = "The label's card.", body = LabelCard), Refused, NoSuchApp)
)]
pub async fn get_label(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, given) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let document = operation::current(&labels, &app).await?;
    let id = labels.read(&caller, app, move |snapshot| find_label(snapshot, &given)).await?;
    Ok(with_version(document.version, &document.labels.get(&id).cloned().unwrap_or_default()))
}

/// Say what a label is: everything that was said of it before is replaced. It need not be imported yet.
#[utoipa::path(
    put, path = "/v1/apps/{app}/labels/{label}", tag = "catalogue",
    params(
        ("app" = String, Path, description = "App id."),
        ("label" = String, Path, description = "The label's id, or the name of one that is known.")
    ),
    request_body = LabelCard,
    responses((status = 200, description = "The version now.", body = Changed), Refused, CanNotChange)
)]
pub async fn put_label(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let (app, given) = path.into_inner();
    let app = named_app(&caller, app)?;
    let id = match given.parse::<i64>() {
        Ok(id) => id,
        Err(_) => labels.read(&caller, app.clone(), move |snapshot| find_label(snapshot, &given)).await?,
    };
    put(labels, caller, app, (Kind::Label, id.to_string()), request, body).await
}

/// A base crowd of the app's own.
#[utoipa::path(
    get, path = "/v1/apps/{app}/base-crowds/{code}", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), ("code" = String, Path, description = "Its code.")),
    responses((status = 200, description = "The crowd.", body = BaseCrowdCard), Refused, NoSuchApp)
)]
pub async fn get_crowd(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, code) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let document = operation::current(&labels, &app).await?;
    let found: Found<&BaseCrowdCard> = document.base_crowds.get(&code).ok_or_else(|| Error::UnknownName {
        what: What::BaseCrowd,
        nearest: muster_rules::nearest(&code, document.base_crowds.keys()),
        given: code.clone(),
    });
    Ok(with_version(document.version, found?))
}

/// Define a base crowd of the app's own by a rule. Rules and insights name it by its code.
#[utoipa::path(
    put, path = "/v1/apps/{app}/base-crowds/{code}", tag = "catalogue",
    params(
        ("app" = String, Path, description = "App id."),
        ("code" = String, Path, description = "1 to 64 of a-z, 0-9 and _; stable: rules name it.")
    ),
    request_body = BaseCrowdCard,
    responses((status = 200, description = "The version now.", body = Changed), Refused, CanNotChange)
)]
pub async fn put_crowd(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let (app, code) = path.into_inner();
    put(labels, caller, app, (Kind::BaseCrowd, code), request, body).await
}

/// Say what an event is, and what it counts as.
#[utoipa::path(
    put, path = "/v1/apps/{app}/events/{event}", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), ("event" = String, Path, description = "Its name.")),
    request_body = EventCard,
    responses((status = 200, description = "The version now.", body = Changed), Refused, CanNotChange)
)]
pub async fn put_event(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let (app, event) = path.into_inner();
    put(labels, caller, app, (Kind::Event, event), request, body).await
}

async fn put(
    labels: Data<Labels>,
    caller: Caller,
    app: String,
    (kind, name): (Kind, String),
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    let app = named_app(&caller, app)?;
    let author = author(&caller, &request)?;
    let entry = Entry { kind, name, body: Some(Value::Object(object(&body)?)) };
    // Pointers lead into the body, which is the entry itself.
    let change = operation::change(&labels, &app, &author, |_| String::new(), |_| Ok(vec![entry.clone()]));
    Ok(Json(change.await?))
}
