//! `POST /v1/apps/{app}/cohorts/membership`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use actix_web::web::{Data, Json, Path};
use muster_evaluator::SnapshotCatalogue;
use muster_http::{Caller, Problem, ProblemBody, Role};
use muster_rules::Catalogue;

use super::evaluation::{evaluate, turn};
use crate::Segments;
use crate::error::Error;
use crate::member_answers::{Memberships, MembershipsBody, UserId};
use crate::operations;
use crate::store::{self, Brief};

const MOST_USERS: usize = 1_000;
const MOST_COHORTS: usize = 100;

/// Say which users are in which cohorts.
///
/// Many of both in one call. Cohorts are as they were made; a segment or a list stands for its newest one.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/cohorts/membership",
    tag = "cohorts",
    operation_id = "memberships",
    params(("app" = String, Path)),
    request_body = MembershipsBody,
    responses(
        (status = 200, description = "Per user, the cohorts that hold it", body = Memberships),
        (status = 403, description = "`below_floor`: one of the cohorts has fewer users than the app lets be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`cohort_not_found`, with the id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`: too many, or the same cohort twice", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn memberships(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    body: Json<MembershipsBody>,
) -> Result<Json<Memberships>, Problem> {
    let began = Instant::now();
    caller.require(&app, Role::Export)?;
    let MembershipsBody { users, cohorts } = body.into_inner();
    bounded(users.len(), &cohorts)?;
    let users = users.into_iter().map(UserId::into_text).collect();
    let turn = turn(&segments, &app, cohorts.len() as u64).await?;
    let cohorts = find_all(&segments, &app, cohorts).await?;
    Ok(Json(evaluate(turn, move |_| operations::memberships(&segments, &app, cohorts, users, began)).await?))
}

fn bounded(users: usize, cohorts: &[String]) -> Result<(), Error> {
    let refused = |pointer, code, detail| Err(Error::Body { pointer, code, detail });
    if users > MOST_USERS {
        return refused("/users", "too_many", format!("Up to {MOST_USERS} users are looked for at once."));
    }
    if cohorts.len() > MOST_COHORTS {
        return refused(
            "/cohorts",
            "too_many",
            format!("Up to {MOST_COHORTS} cohorts are looked in at once."),
        );
    }
    let different: BTreeSet<&String> = cohorts.iter().collect();
    if different.len() < cohorts.len() {
        return refused("/cohorts", "repeated", "Each cohort is named once.".to_owned());
    }
    Ok(())
}

/// The cohorts by their ids, those of segments and lists by theirs, with what was asked for. One that is not there
/// or may not be shown refuses them all.
pub async fn find_all(
    segments: &Segments,
    app: &str,
    asked: Vec<String>,
) -> Result<Vec<(String, Brief)>, Error> {
    let (profiles, name) = (segments.profiles.clone(), app.to_owned());
    let looked = tokio::task::spawn_blocking(move || -> Result<_, Error> {
        let newest =
            profiles.snapshot(&name)?.and_then(|snapshot| SnapshotCatalogue::new(&snapshot).newest());
        Ok((newest, profiles.catalogue(&name)?.settings.floor()))
    });
    let (day, floor) = looked.await.map_err(|error| Error::Inside(error.to_string()))??;
    let of_kind = |prefix: &str| -> BTreeSet<&str> {
        asked.iter().map(String::as_str).filter(|id| id.starts_with(prefix)).collect()
    };
    let made = store::made(&segments.db, app, (of_kind("seg_"), of_kind("lst_"))).await?;
    // As a rule that says nothing of its day takes them: a run may have looked from a day without data yet.
    let of_segments = made
        .segments
        .iter()
        .filter_map(|(id, cohorts)| Some((id, &cohorts.iter().rfind(|(ds, _)| Some(*ds) <= day)?.1)));
    let of_lists = made.lists.iter().filter_map(|(id, cohorts)| Some((id, &cohorts.last()?.1)));
    let newest: BTreeMap<&String, &String> = of_segments.chain(of_lists).collect();
    let ids: BTreeSet<&str> =
        asked.iter().map(|id| newest.get(id).map_or(id.as_str(), |id| id.as_str())).collect();
    let found = store::briefs(&segments.db, app, &ids).await?;
    let find = |asked: &String| {
        let id = newest.get(asked).copied().unwrap_or(asked);
        let cohort = found.get(id).ok_or_else(|| Error::NoCohort(asked.clone()))?;
        let shown = floor.shown(cohort.users, cohort.universe).is_some();
        shown.then(|| (asked.clone(), cohort.clone())).ok_or(Error::BelowFloor(floor))
    };
    asked.iter().map(find).collect()
}
