//! `/v1/apps/{app}/labels`: labels and their tags.

use actix_web::web::{Data, Json, Path, Query};
use muster_days::Ds;
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody};
use muster_profile_store::Snapshot;
use serde::Deserialize;
use utoipa::IntoParams;

use super::refused::{NoSuchApp, Refused};
use crate::Labels;
use crate::error::Error;
use crate::operations::list_labels::{self as operation, Label, LabelQuery};
use crate::operations::list_tags::{self, TagPage, TagQuery};
use crate::operations::paging::Paging;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RetiredParams {
    /// `true`: those too that are retired.
    #[param(required = false)]
    #[serde(default)]
    pub retired: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Labels that are called like this text, whatever the case: the id, the name, a display name in any
    /// language, or a name of a tag is the text, begins with it, contains it or is a few letters off; of
    /// an id only the beginning counts.
    #[serde(rename = "match")]
    #[param(required = false, value_type = String)]
    matching: Option<String>,
}

/// The labels of an app, by id or the best match first, with their published days.
#[utoipa::path(
    get, path = "/v1/apps/{app}/labels", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), RetiredParams, SearchParams, PageQuery),
    responses((status = 200, description = "A page of labels.", body = Page<Label>), Refused, NoSuchApp)
)]
pub async fn list_labels(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    params: Query<RetiredParams>,
    search: Query<SearchParams>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Label>>, Problem> {
    let paging = Paging::from_query(&page)?;
    let query = LabelQuery { retired: params.retired, matching: search.into_inner().matching };
    let list = move |snapshot: &Snapshot| operation::list_labels(snapshot, &query, &paging);
    Ok(Json(labels.read(&caller, app.into_inner(), list).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TagParams {
    /// The day, `YYYYMMDD`; the label's newest published day when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// Tags that are called like this text, whatever the case: the name, or a display name in any
    /// language, is the text, begins with it, contains it or is a few letters off; or it is the id.
    #[serde(rename = "match")]
    #[param(required = false, value_type = String)]
    matching: Option<String>,
}

/// The tags of a label on one day, by id or the best match first.
#[utoipa::path(
    get, path = "/v1/apps/{app}/labels/{label}/tags", tag = "catalogue",
    params(
        ("app" = String, Path, description = "App id."),
        ("label" = String, Path, description = "The label's id or name."),
        TagParams, PageQuery
    ),
    responses(
        (status = 200, description = "A page of tags, and the day it is of.", body = TagPage),
        Refused,
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description =
            "`app_not_found`; `label_not_found`, with the nearest known name; `ds_not_published`, with the \
             `first` and `last` day that is.")
    )
)]
pub async fn list_tags(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<TagParams>,
    page: Query<PageQuery>,
) -> Result<Json<TagPage>, Problem> {
    let (app, label) = path.into_inner();
    let TagParams { ds, matching } = params.into_inner();
    let ds = ds.map(|text| text.parse::<Ds>()).transpose().map_err(Error::from)?;
    let (query, paging) = (TagQuery { label, ds, matching }, Paging::from_query(&page)?);
    let list = move |snapshot: &_| list_tags::list_tags(snapshot, &query, &paging);
    Ok(Json(labels.read(&caller, app, list).await?))
}
