//! A small service: notes per app. It keeps them in memory and has the routes that the gateway treats
//! apart, each with a handler that does what it says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Payload, Query, ServiceConfig, get, post, resource};
use futures::StreamExt;
use muster_http::{Caller, Kind, Page, Problem, Role, Service};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

/// The apps that exist.
pub const APPS: [&str; 2] = ["one", "two"];

#[derive(Default)]
pub struct Notes(Mutex<HashMap<String, Vec<Note>>>);

#[derive(Clone, Serialize, Deserialize, ToSchema)]
struct Note {
    text: String,
}

fn known(caller: &Caller, app: &str, role: Role) -> Result<(), Problem> {
    caller.require(app, role)?;
    APPS.contains(&app).then_some(()).ok_or_else(|| Problem::app_not_found(app))
}

impl Notes {
    pub fn count(&self, app: &str) -> usize {
        self.0.lock().unwrap().get(app).map_or(0, Vec::len)
    }
}

#[utoipa::path(get, path = "/v1/apps/{app}/notes", params(("app" = String, Path)),
    responses((status = 200, body = Page<Note>)))]
async fn list(notes: Data<Notes>, caller: Caller, app: Path<String>) -> Result<Json<Page<Note>>, Problem> {
    known(&caller, &app, Role::Read)?;
    let items = notes.0.lock().unwrap().get(&*app).cloned().unwrap_or_default();
    Ok(Json(Page { items, next: None }))
}

#[derive(Deserialize)]
struct Manner {
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    fail: bool,
}

/// Adds a note: slowly, or failing after it, when asked to.
#[utoipa::path(post, path = "/v1/apps/{app}/notes", params(("app" = String, Path)), request_body = Note,
    responses((status = 201, body = Note)))]
async fn add(
    notes: Data<Notes>,
    caller: Caller,
    app: Path<String>,
    manner: Query<Manner>,
    note: Json<Note>,
) -> Result<HttpResponse, Problem> {
    known(&caller, &app, Role::Segment)?;
    tokio::time::sleep(Duration::from_millis(manner.wait_ms)).await;
    let mut notes = notes.0.lock().unwrap();
    let of_app = notes.entry(app.clone()).or_default();
    of_app.push(note.clone());
    if manner.fail {
        return Err(Problem::new(Kind::Unavailable, "pen_broken", "Try again.").retry_after(3));
    }
    let location = format!("/v1/apps/{app}/notes/{}", of_app.len());
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(note))
}

/// Says how many bytes came in.
#[utoipa::path(post, path = "/v1/imports", responses((status = 200, body = usize)))]
async fn import(caller: Caller, mut body: Payload) -> Result<Json<usize>, Problem> {
    caller.require_role(Role::Import)?;
    let mut bytes = 0;
    while let Some(chunk) = body.next().await {
        let broken = |err| Problem::new(Kind::BadRequest, "import_broken", format!("{err}"));
        bytes += chunk.map_err(broken)?.len();
    }
    if bytes == 0 {
        return Err(Problem::new(Kind::Invalid, "empty_import", "There is nothing in this file."));
    }
    Ok(Json(bytes))
}

/// Answers at once: what the gateway does before it is the point.
#[utoipa::path(post, path = "/v1/apps/{app}/segments/estimate", params(("app" = String, Path)),
    responses((status = 204)))]
async fn estimate(caller: Caller, app: Path<String>) -> Result<HttpResponse, Problem> {
    known(&caller, &app, Role::Read)?;
    Ok(HttpResponse::NoContent().finish())
}

#[utoipa::path(get, path = "/v1/apps/{app}/panic", params(("app" = String, Path)),
    responses((status = 204)))]
async fn panic(app: Path<String>) -> HttpResponse {
    panic!("asked for by {app}")
}

/// Members, for ever.
#[utoipa::path(get, path = "/v1/apps/{app}/cohorts/{cohort}/users",
    params(("app" = String, Path), ("cohort" = String, Path)), responses((status = 200, body = String)))]
async fn export(caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse, Problem> {
    known(&caller, &path.0, Role::Export)?;
    let users = futures::stream::repeat_with(|| Ok::<_, Problem>("user\n".into()));
    Ok(HttpResponse::Ok().streaming(users.then(|user| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        user
    })))
}

#[derive(OpenApi)]
#[openapi(paths(list, add, import, estimate, panic, export))]
struct NotesApi;

pub fn service(notes: Arc<Notes>) -> Service {
    let of_apps = move |config: &mut ServiceConfig| {
        let notes = Data::from(Arc::clone(&notes));
        config
            .service(resource("/notes").app_data(notes).route(get().to(list)).route(post().to(add)))
            .service(resource("/segments/estimate").route(post().to(estimate)))
            .service(resource("/panic").route(get().to(panic)))
            .service(resource("/cohorts/{cohort}/users").route(get().to(export)));
    };
    let routes = |config: &mut ServiceConfig| {
        config.service(resource("/v1/imports").route(post().to(import)));
    };
    Service { routes: Arc::new(routes), ..Service::of_apps("notes", NotesApi::openapi(), of_apps) }
}
