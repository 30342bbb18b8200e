//! What an app may take, and what it took.

use std::collections::BTreeMap;

use actix_web::web::{Bytes, Data, Json, Path, Query};
use muster_http::{Caller, Kind, Problem, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::class::QuotaKind;
use crate::clock;
use crate::error::GatewayError;
use crate::gateway::Gate;
use crate::operations::flow_control::Source;
use crate::operations::usage::KEPT_DAYS;
use crate::settings::Quota;
use crate::store::quotas::{self as store, QuotaRow};

/// The classes of calls that name an app. (Imports name none: their quota is the key's.)
const OF_APPS: [QuotaKind; 3] = [QuotaKind::Read, QuotaKind::Estimate, QuotaKind::Job];

/// The quota of one class of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaInForce {
    /// Units that come back each second.
    pub per_second: u32,
    /// Units at most at once.
    pub burst: u32,
    /// `default`, `configuration` or `catalogue`.
    #[schema(example = "default")]
    pub source: &'static str,
}

/// By class: `read`, `estimate`, `job`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quotas {
    pub quotas: BTreeMap<&'static str, QuotaInForce>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuota {
    #[schema(minimum = 1)]
    pub per_second: u32,
    #[schema(minimum = 1)]
    pub burst: u32,
}

/// What of an app's day was of one class.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsedClass {
    /// UTC day, `YYYYMMDD`.
    #[schema(example = 20261101)]
    pub ds: u32,
    #[schema(example = "estimate")]
    pub class: String,
    /// Calls that were answered, those with an error too.
    pub calls: i64,
    /// Units of the quota that they took.
    pub units: i64,
    /// Calls refused because the quota was used up.
    pub refused: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Used {
    /// Newest day first.
    pub items: Vec<UsedClass>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// So many days, today included: 1 to 90, 7 unless given.
    #[param(required = false)]
    days: Option<u32>,
}

/// What an app may take of each class of calls
#[utoipa::path(get, path = "/v1/apps/{app}/quotas", tag = "system", params(("app" = String, Path)),
    responses((status = 200, body = Quotas)))]
pub async fn show(gate: Data<Gate>, caller: Caller, app: Path<String>) -> Result<Json<Quotas>, Problem> {
    known(&gate, &app).await?;
    caller.require(&app, Role::Read)?;
    Ok(Json(in_force(&gate, &app)))
}

/// Set what an app may take; null takes a setting back
#[utoipa::path(put, path = "/v1/apps/{app}/quotas", tag = "system", params(("app" = String, Path)),
    request_body(content = Object, description = "By class: `{\"per_second\", \"burst\"}` or null"),
    responses((status = 200, body = Quotas)))]
pub async fn set(
    gate: Data<Gate>,
    caller: Caller,
    app: Path<String>,
    body: Bytes,
) -> Result<Json<Quotas>, Problem> {
    known(&gate, &app).await?;
    caller.require_root()?;
    let body: BTreeMap<String, Option<NewQuota>> = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(Kind::Invalid, "invalid_body", format!("{error}.")))?;
    let changes = body.into_iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
    for (kind, quota) in changes {
        let done = match quota {
            Some(quota) => store::put(&gate.db, &row(&app, kind, quota, &caller)).await,
            None => store::remove(&gate.db, &app, kind.name()).await,
        };
        done.map_err(GatewayError::from)?;
    }
    let rows = store::all(&gate.db).await.map_err(GatewayError::from)?;
    gate.flow.set_catalogue(&rows);
    Ok(Json(in_force(&gate, &app)))
}

/// What an app took, by day and class
#[utoipa::path(get, path = "/v1/apps/{app}/usage", tag = "system",
    params(("app" = String, Path), UsageQuery), responses((status = 200, body = Used)))]
pub async fn usage(
    gate: Data<Gate>,
    caller: Caller,
    app: Path<String>,
    query: Query<UsageQuery>,
) -> Result<Json<Used>, Problem> {
    known(&gate, &app).await?;
    caller.require(&app, Role::Read)?;
    let days = query.days.unwrap_or(7);
    if !(1..=KEPT_DAYS).contains(&days) {
        let detail = format!("The days are 1 to {KEPT_DAYS}.");
        return Err(Problem::new(Kind::BadRequest, "invalid_days", detail));
    }
    let rows = gate.usage.of(&gate.db, &app, days, clock::now_ms()).await?;
    let items = rows.into_iter().map(|row| UsedClass {
        ds: row.ds,
        class: row.class,
        calls: row.calls,
        units: row.units,
        refused: row.refused,
    });
    Ok(Json(Used { items: items.collect() }))
}

/// An app without data is no app, here as everywhere.
async fn known(gate: &Gate, app: &str) -> Result<(), Problem> {
    let users = gate.sizes.users(app, clock::now_ms()).await.map_err(Problem::internal)?;
    users.map(drop).ok_or_else(|| Problem::app_not_found(app))
}

fn in_force(gate: &Gate, app: &str) -> Quotas {
    let quotas = OF_APPS.map(|kind| {
        let (quota, source) = gate.flow.quota(app, kind);
        let source = match source {
            Source::Default => "default",
            Source::Configuration => "configuration",
            Source::Catalogue => "catalogue",
        };
        let (per_second, burst) = (quota.per_second.get(), quota.burst.get());
        (kind.name(), QuotaInForce { per_second, burst, source })
    });
    Quotas { quotas: quotas.into() }
}

fn read((class, quota): (String, Option<NewQuota>)) -> Result<(QuotaKind, Option<Quota>), Problem> {
    let refused = |code: &str, detail: String| {
        Problem::new(Kind::Invalid, "invalid_quota", detail).with_fault(&format!("/{class}"), code, None)
    };
    let kind = QuotaKind::from_name(&class).filter(|kind| OF_APPS.contains(kind));
    let kind = kind.ok_or_else(|| {
        refused("unknown_class", format!("There is no class `{class}`: they are read, estimate and job."))
    })?;
    match quota {
        Some(NewQuota { per_second, burst }) if per_second == 0 || burst == 0 => {
            Err(refused("zero", "A quota and its burst are at least 1.".to_owned()))
        }
        Some(NewQuota { per_second, burst }) => Ok((kind, Some(Quota::new(per_second, burst)))),
        None => Ok((kind, None)),
    }
}

fn row(app: &str, kind: QuotaKind, quota: Quota, caller: &Caller) -> QuotaRow {
    QuotaRow {
        app_id: app.to_owned(),
        class: kind.name().to_owned(),
        per_second: quota.per_second.get().into(),
        burst: quota.burst.get().into(),
        updated_at: clock::now_ms(),
        updated_by: caller.id.clone(),
    }
}
