//! `/v1/apps/{app}/base-crowds`: the universes that a rule can name.

use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Page, PageQuery, Problem};
use muster_profile_store::Snapshot;

use super::labels::RetiredParams;
use super::refused::{NoSuchApp, Refused};
use crate::Labels;
use crate::operations::list_base_crowds::{self as operation, BaseCrowd};
use crate::operations::paging::Paging;

/// The base crowds of an app.
#[utoipa::path(
    get, path = "/v1/apps/{app}/base-crowds", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), RetiredParams, PageQuery),
    responses((status = 200, description = "A page of base crowds.", body = Page<BaseCrowd>), Refused, NoSuchApp)
)]
pub async fn list_base_crowds(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    params: Query<RetiredParams>,
    page: Query<PageQuery>,
) -> Result<Json<Page<BaseCrowd>>, Problem> {
    let paging = Paging::from_query(&page)?;
    let list = move |snapshot: &Snapshot| operation::list_base_crowds(snapshot, params.retired, &paging);
    Ok(Json(labels.read(&caller, app.into_inner(), list).await?))
}
