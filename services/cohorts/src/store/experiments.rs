//! `experiment` and `experiment_version`.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_sql::{Db, Tx, on};
use sqlx::FromRow;

use crate::error::Error;

#[derive(Debug, Clone, FromRow)]
pub struct ExperimentRow {
    pub id: String,
    pub app_id: String,
    pub state: String,
    pub revision: u32,
    pub definition: String,
    pub rule: String,
    pub salt: String,
    pub layer: String,
    pub assignment: Option<String>,
    pub job_id: Option<String>,
    pub failure: Option<String>,
    pub version: u32,
    pub members: Option<String>,
    pub population_ds: Option<u32>,
    pub inputs: Option<String>,
    pub from_ds: Option<u32>,
    pub to_ds: Option<u32>,
    pub checked: Option<String>,
    pub created_by: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub started_at: Option<i64>,
    pub stopped_at: Option<i64>,
}

const SELECT: &str = "SELECT id, app_id, state, revision, definition, rule, salt, layer, assignment, job_id, failure, \
     version, members, population_ds, inputs, from_ds, to_ds, checked, created_by, created_at, updated_at, \
     started_at, stopped_at FROM experiment ";

/// Groups as they were made.
pub struct NewVersion<'a> {
    pub experiment: &'a str,
    pub version: u32,
    pub ds: Ds,
    /// JSON: cohorts and users of each group.
    pub members: &'a str,
    /// JSON: everybody who was split so far, by group.
    pub users: &'a str,
    pub inputs: &'a str,
}

pub async fn create(db: &Db, row: &ExperimentRow) -> Result<(), Error> {
    let insert = "INSERT INTO experiment (id, app_id, state, revision, definition, rule, salt, layer, version, \
         created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    on!(db, pool => sqlx::query(insert)
        .bind(&row.id)
        .bind(&row.app_id)
        .bind(&row.state)
        .bind(row.revision)
        .bind(&row.definition)
        .bind(&row.rule)
        .bind(&row.salt)
        .bind(&row.layer)
        .bind(row.version)
        .bind(&row.created_by)
        .bind(row.created_at)
        .bind(row.updated_at)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}

pub async fn experiment(db: &Db, app: &str, id: &str) -> Result<Option<ExperimentRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}WHERE app_id = ? AND id = ? AND state <> 'deleted'"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?))
}

/// Newest first, those before `cursor`; one more than `limit` when there are more.
pub async fn experiments(
    db: &Db,
    app: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Vec<ExperimentRow>, Error> {
    let query = format!(
        "{SELECT}WHERE app_id = ? AND state <> 'deleted' AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// Those of all apps that want something done: that follow their audience, are being started, or deleted.
pub async fn unsettled(db: &Db) -> Result<Vec<ExperimentRow>, Error> {
    let query = format!(
        "{SELECT}WHERE state IN ('starting', 'deleted') \
         OR (state = 'running' AND definition LIKE '%\"membership\":\"following\"%')"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(pool).await?))
}

/// Those of all apps.
pub async fn all(db: &Db) -> Result<Vec<ExperimentRow>, Error> {
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(SELECT)).fetch_all(pool).await?))
}

/// The apps that have experiments with groups.
pub async fn apps_with_groups(db: &Db) -> Result<Vec<String>, Error> {
    let query = "SELECT DISTINCT app_id FROM experiment WHERE state IN ('running', 'stopped') AND members IS NOT NULL";
    Ok(on!(db, pool => sqlx::query_scalar(query).fetch_all(pool).await?))
}

/// Those of the app that have groups.
pub async fn with_groups(db: &Db, app: &str) -> Result<Vec<ExperimentRow>, Error> {
    let query = format!(
        "{SELECT}WHERE app_id = ? AND state IN ('running', 'stopped') AND members IS NOT NULL ORDER BY id"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(app).fetch_all(pool).await?))
}

/// How many users the groups of this version have by now. Nothing changes where there is another version.
pub async fn put_users(
    db: &Db,
    (app, id): (&str, &str),
    version: u32,
    members: &str,
    users: &str,
) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    let query = "UPDATE experiment SET members = ?, revision = revision + 1 \
         WHERE app_id = ? AND id = ? AND version = ? AND state IN ('running', 'stopped')";
    let done = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(members)
        .bind(app)
        .bind(id)
        .bind(version)
        .execute(connection)
        .await?
        .rows_affected());
    if done == 1 {
        let query = "UPDATE experiment_version SET users = ? WHERE experiment_id = ? AND version = ?";
        on!(tx &mut transaction, connection =>
            sqlx::query(query).bind(users).bind(id).bind(version).execute(connection).await.map(drop)?);
    }
    Ok(transaction.commit().await?)
}

/// What its author changed. False when it is no draft of this revision any more.
pub async fn change(db: &Db, row: &ExperimentRow, now: DateTime<Utc>) -> Result<bool, Error> {
    let query = "UPDATE experiment SET definition = ?, rule = ?, salt = ?, layer = ?, checked = NULL, \
         revision = revision + 1, updated_at = ? \
         WHERE app_id = ? AND id = ? AND revision = ? AND state = 'draft'";
    let done = on!(db, pool => sqlx::query(query)
        .bind(&row.definition)
        .bind(&row.rule)
        .bind(&row.salt)
        .bind(&row.layer)
        .bind(now.timestamp_millis())
        .bind(&row.app_id)
        .bind(&row.id)
        .bind(row.revision)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// What a check of the draft came to, and the salt that it found better. False when it was changed meanwhile.
pub async fn put_checked(
    db: &Db,
    row: &ExperimentRow,
    (checked, salt): (&str, &str),
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query = "UPDATE experiment SET checked = ?, salt = ?, revision = revision + 1, updated_at = ? \
         WHERE app_id = ? AND id = ? AND revision = ? AND state = 'draft'";
    let done = on!(db, pool => sqlx::query(query)
        .bind(checked)
        .bind(salt)
        .bind(now.timestamp_millis())
        .bind(&row.app_id)
        .bind(&row.id)
        .bind(row.revision)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// It runs, with its first groups. False when the job is not the one that starts it any more.
pub async fn finish_start(
    db: &Db,
    (app, job): (&str, &str),
    new: &NewVersion<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query = "UPDATE experiment SET state = 'running', failure = NULL, version = ?, members = ?, \
         population_ds = ?, inputs = ?, started_at = ?, updated_at = ?, revision = revision + 1 \
         WHERE app_id = ? AND id = ? AND state = 'starting' AND job_id = ?";
    let mut transaction = db.begin().await?;
    let now = now.timestamp_millis();
    let done = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(new.version)
        .bind(new.members)
        .bind(new.ds.number())
        .bind(new.inputs)
        .bind(now)
        .bind(now)
        .bind(app)
        .bind(new.experiment)
        .bind(job)
        .execute(connection)
        .await?
        .rows_affected());
    if done == 1 {
        insert_version(&mut transaction, new, now).await?;
        transaction.commit().await?;
    }
    Ok(done == 1)
}

/// Groups that were made anew, of an experiment that runs. False when another has made this version, or it was
/// stopped meanwhile.
pub async fn put_version(
    db: &Db,
    app: &str,
    new: &NewVersion<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query = "UPDATE experiment SET version = ?, members = ?, population_ds = ?, inputs = ?, updated_at = ?, \
         revision = revision + 1 WHERE app_id = ? AND id = ? AND state = 'running' AND version = ?";
    let mut transaction = db.begin().await?;
    let now = now.timestamp_millis();
    let done = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(new.version)
        .bind(new.members)
        .bind(new.ds.number())
        .bind(new.inputs)
        .bind(now)
        .bind(app)
        .bind(new.experiment)
        .bind(new.version - 1)
        .execute(connection)
        .await?
        .rows_affected());
    if done == 1 {
        insert_version(&mut transaction, new, now).await?;
        transaction.commit().await?;
    }
    Ok(done == 1)
}

async fn insert_version(tx: &mut Tx, new: &NewVersion<'_>, now: i64) -> sqlx::Result<()> {
    let insert = "INSERT INTO experiment_version (experiment_id, version, ds, users, created_at) VALUES (?, ?, ?, ?, ?)";
    on!(tx tx, connection => sqlx::query(insert)
        .bind(new.experiment)
        .bind(new.version)
        .bind(new.ds.number())
        .bind(new.users)
        .bind(now)
        .execute(connection)
        .await
        .map(drop))
}

/// Day and users by group (JSON) of each version, the first one first.
pub async fn users_by_version(db: &Db, app: &str, id: &str) -> Result<Vec<(u32, String)>, Error> {
    let query = "SELECT v.ds, v.users FROM experiment e JOIN experiment_version v ON v.experiment_id = e.id \
         WHERE e.app_id = ? AND e.id = ? ORDER BY v.version";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_all(pool).await?))
}

/// The start came to nothing: it is a draft again, and its part of the layer is free. False when the job does not
/// start it any more.
pub async fn give_up(
    db: &Db,
    (app, id, job): (&str, &str, &str),
    failure: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query = "UPDATE experiment SET state = 'draft', assignment = NULL, failure = ?, from_ds = NULL, \
         revision = revision + 1, updated_at = ? \
         WHERE app_id = ? AND id = ? AND state = 'starting' AND job_id = ?";
    let done = on!(db, pool => sqlx::query(query)
        .bind(failure)
        .bind(now.timestamp_millis())
        .bind(app)
        .bind(id)
        .bind(job)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// Experiments of the app with this salt, but for one.
pub async fn salted(db: &Db, app: &str, (salt, but): (&str, &str)) -> Result<bool, Error> {
    let query = "SELECT COUNT(*) FROM experiment WHERE app_id = ? AND salt = ? AND id <> ?";
    let found: i64 =
        on!(db, pool => sqlx::query_scalar(query).bind(app).bind(salt).bind(but).fetch_one(pool).await?);
    Ok(found > 0)
}

/// It is gone for everybody; what was kept for it goes next. False when it is not there, or is being started or runs.
pub async fn hide(db: &Db, app: &str, id: &str) -> Result<bool, Error> {
    let query = "UPDATE experiment SET state = 'deleted', revision = revision + 1 \
         WHERE app_id = ? AND id = ? AND state IN ('draft', 'stopped')";
    let done = on!(db, pool => sqlx::query(query).bind(app).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

/// It can't be deleted after all.
pub async fn bring_back(db: &Db, app: &str, id: &str) -> Result<(), Error> {
    let query = "UPDATE experiment SET state = CASE WHEN started_at IS NULL THEN 'draft' ELSE 'stopped' END, \
         revision = revision + 1 WHERE app_id = ? AND id = ? AND state = 'deleted'";
    on!(db, pool => sqlx::query(query).bind(app).bind(id).execute(pool).await.map(drop)?);
    Ok(())
}

/// False when it did not run.
pub async fn stop(db: &Db, (app, id): (&str, &str), last: Ds, now: DateTime<Utc>) -> Result<bool, Error> {
    let query = "UPDATE experiment SET state = 'stopped', to_ds = ?, stopped_at = ?, updated_at = ?, \
         revision = revision + 1 WHERE app_id = ? AND id = ? AND state = 'running'";
    let now = now.timestamp_millis();
    let done = on!(db, pool => sqlx::query(query)
        .bind(last.number())
        .bind(now)
        .bind(now)
        .bind(app)
        .bind(id)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// What is left of one that is hidden.
pub async fn delete(db: &Db, app: &str, id: &str) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    let query = "DELETE FROM experiment WHERE app_id = ? AND id = ? AND state = 'deleted'";
    let done = on!(tx &mut transaction, connection =>
        sqlx::query(query).bind(app).bind(id).execute(connection).await?.rows_affected());
    if done == 1 {
        let query = "DELETE FROM experiment_version WHERE experiment_id = ?";
        on!(tx &mut transaction, connection => sqlx::query(query).bind(id).execute(connection).await.map(drop)?);
        transaction.commit().await?;
    }
    Ok(())
}
