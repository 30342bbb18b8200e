//! What was made of the segments and lists that rules name.

use std::collections::{BTreeMap, BTreeSet};

use muster_days::Ds;
use muster_rules::Made;
use muster_sql::{Db, on};
use sqlx::QueryBuilder;

use crate::error::Error;

/// Ids of one query.
const IDS: usize = 500;

/// Of those of the segments and lists that are there: their cohorts, from old to new.
pub async fn made(
    db: &Db,
    app: &str,
    (segments, lists): (BTreeSet<&str>, BTreeSet<&str>),
) -> Result<Made, Error> {
    let segments = cohorts(
        db,
        app,
        (
            "SELECT s.id, c.ds, c.id FROM segment s LEFT JOIN cohort c ON c.segment_id = s.id \
             WHERE s.deleted_at IS NULL AND s.app_id = ",
            // Of a day the one that was made last.
            ") ORDER BY s.id, c.ds, c.created_at, c.id",
        ),
        &segments,
    );
    let lists = cohorts(
        db,
        app,
        (
            "SELECT s.id, c.ds, c.id FROM user_list s LEFT JOIN cohort c ON c.segment_id = s.id \
             WHERE s.deleted_at IS NULL AND s.app_id = ",
            ") ORDER BY s.id, c.segment_version",
        ),
        &lists,
    );
    Ok(Made { segments: segments.await?, lists: lists.await? })
}

async fn cohorts(
    db: &Db,
    app: &str,
    (begin, end): (&'static str, &'static str),
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Vec<(Ds, String)>>, Error> {
    let ids: Vec<&str> = ids.iter().copied().collect();
    let mut found: BTreeMap<String, Vec<(Ds, String)>> = BTreeMap::new();
    for ids in ids.chunks(IDS) {
        let rows: Vec<(String, Option<u32>, Option<String>)> = on!(db, pool => {
            let mut query = QueryBuilder::new(begin);
            query.push_bind(app).push(" AND s.id IN (");
            let mut list = query.separated(", ");
            ids.iter().for_each(|id| _ = list.push_bind(*id));
            query.push(end);
            query.build_query_as().fetch_all(pool).await?
        });
        for (id, ds, cohort) in rows {
            let cohorts = found.entry(id).or_default();
            let (Some(ds), Some(cohort)) = (ds, cohort) else { continue };
            let ds = Ds::from_number(ds.into()).map_err(|error| Error::Inside(error.to_string()))?;
            cohorts.push((ds, cohort));
        }
    }
    Ok(found)
}
