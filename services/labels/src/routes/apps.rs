//! `/v1/apps`: the apps that the caller has.

use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Page, PageQuery, Problem, Role};

use super::refused::{NoSuchApp, Refused};
use crate::Labels;
use crate::operations::list_apps::{self as operation, App};
use crate::operations::paging::Paging;

/// The apps with published data that the key has, by id.
#[utoipa::path(
    get, path = "/v1/apps", tag = "catalogue", params(PageQuery),
    responses((status = 200, description = "A page of apps.", body = Page<App>), Refused)
)]
pub async fn list_apps(
    labels: Data<Labels>,
    caller: Caller,
    page: Query<PageQuery>,
) -> Result<Json<Page<App>>, Problem> {
    caller.require_role(Role::Read)?;
    let paging = Paging::from_query(&page)?;
    let apps = labels.blocking(move |store| operation::list_apps(store, &caller.apps, &paging)).await?;
    Ok(Json(apps))
}

/// One app.
#[utoipa::path(
    get, path = "/v1/apps/{app}", tag = "catalogue",
    params(("app" = String, Path, description = "App id.")),
    responses((status = 200, description = "The app.", body = App), Refused, NoSuchApp)
)]
pub async fn get_app(labels: Data<Labels>, caller: Caller, app: Path<String>) -> Result<Json<App>, Problem> {
    let app = app.into_inner();
    let found = labels.read(&caller, app, operation::describe).await?;
    Ok(Json(found))
}
