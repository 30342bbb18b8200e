//! Answers that were sent before, ready to be sent again: a look-up that is asked for a thousand times a
//! second costs the database one question a second.
//!
//! An answer holds as long as nothing it rests on has changed: what the app has published, what its team has
//! said, and the rows of the tables. These have a revision, which every transaction that writes them moves
//! on. It is asked for once a second; what a job of this process wrote is known when the job ends, what another
//! process wrote up to a second later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use muster_profile_store::Snapshot;
use muster_sql::Db;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::error::Error;
use crate::store;

/// Bytes of all answers that are kept.
const MOST_BYTES: u64 = 64 << 20;
/// About so many fit in.
const ANSWERS: usize = 20_000;
const REVISION_KNOWN: Duration = Duration::from_secs(1);

pub struct Answers {
    /// By app, and by path and query.
    answers: Cache<(String, String), Answer, ByBytes>,
    revisions: Mutex<Revisions>,
}

#[derive(Clone)]
pub struct Answer {
    pub stamp: Stamp,
    /// The pattern of the route that gives it.
    pub route: Arc<str>,
    pub tag: HeaderValue,
    pub body: Bytes,
}

/// What an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    generation: u64,
    catalogue: u32,
    revision: i64,
}

impl Stamp {
    fn new(snapshot: &Snapshot, revision: i64) -> Stamp {
        let (generation, catalogue) = (snapshot.manifest().generation, snapshot.catalogue().version);
        Stamp { generation, catalogue, revision }
    }
}

#[derive(Default)]
struct Revisions {
    known: HashMap<String, (Instant, i64)>,
    /// Goes up with every write of this process: a revision that was asked for before is not noted after.
    writes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(String, String), Answer> for ByBytes {
    fn weight(&self, (app, path): &(String, String), answer: &Answer) -> u64 {
        (app.len() + path.len() + answer.body.len() + 200) as u64
    }
}

impl Default for Answers {
    fn default() -> Answers {
        Answers { answers: Cache::with_weighter(ANSWERS, MOST_BYTES, ByBytes), revisions: Mutex::default() }
    }
}

impl Answers {
    pub fn get(&self, app: &str, path: &str, stamp: Stamp) -> Option<Answer> {
        let found = self.answers.get(&(app.to_owned(), path.to_owned()))?;
        (found.stamp == stamp).then_some(found)
    }

    /// The answer's stamp was taken before it was worked out.
    pub fn keep(&self, app: &str, path: &str, answer: Answer) {
        self.answers.insert((app.to_owned(), path.to_owned()), answer);
    }

    /// What answers of the app rest on now.
    pub async fn stamp(&self, db: &Db, app: &str, snapshot: &Snapshot) -> Result<Stamp, Error> {
        if let Some(known) = self.known_stamp(app, snapshot) {
            return Ok(known);
        }
        Ok(Stamp::new(snapshot, self.revision(db, app).await?))
    }

    /// The same, if the revision need not be asked for.
    pub fn known_stamp(&self, app: &str, snapshot: &Snapshot) -> Option<Stamp> {
        let revisions = self.revisions();
        let (at, revision) = revisions.known.get(app)?;
        (at.elapsed() < REVISION_KNOWN).then(|| Stamp::new(snapshot, *revision))
    }

    async fn revision(&self, db: &Db, app: &str) -> Result<i64, Error> {
        let (at, writes) = (Instant::now(), self.revisions().writes);
        let revision = store::revision(db, app).await?;
        let mut revisions = self.revisions();
        if revisions.writes == writes {
            revisions.known.insert(app.to_owned(), (at, revision));
        }
        Ok(revision)
    }

    /// This process may have written rows of the app.
    pub fn written(&self, app: &str) {
        let mut revisions = self.revisions();
        revisions.writes += 1;
        revisions.known.remove(app);
    }

    fn revisions(&self) -> std::sync::MutexGuard<'_, Revisions> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
