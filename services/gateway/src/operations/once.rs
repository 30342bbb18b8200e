//! A request with an `Idempotency-Key` happens once: the first one runs, and whoever sends it again gets
//! the same answer.

use std::time::Duration;

use muster_http::{Kind, Problem};
use muster_sql::Db;
use ulid::Ulid;

use crate::error::GatewayError;
use crate::store::idempotency as store;
use crate::store::idempotency::Holder;
pub use crate::store::idempotency::{Kept, Key};

const KEY_LIMIT: usize = 255;
/// The largest answer that is kept; handlers of writes answer with far less.
pub const KEPT_LIMIT: usize = 1 << 20;
/// Somebody is bound to win a race for a key within this many rounds.
const ROUNDS: usize = 5;
/// A request whose gateway gave no sign of life for so long may be taken over by another.
const LEASE_MS: i64 = 15_000;
/// How often a gateway gives that sign.
pub const RENEW_EVERY: Duration = Duration::from_secs(4);

/// What to do with a request that carries a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody has done this: run it, then [`Once::keep`] or [`Once::release`].
    Run,
    /// It has been done; give this answer again.
    Replay(Kept),
}

/// The requests that this process, and those before it on the same database, have seen.
pub struct Once {
    db: Db,
    /// New with every process: a row that is unfinished and not ours was left by one that died.
    instance: String,
    keep_ms: i64,
}

impl Once {
    pub fn new(db: Db, keep_hours: u32) -> Self {
        let keep_ms = i64::from(keep_hours.max(24)) * 3_600_000;
        Once { db, instance: Ulid::generate().to_string(), keep_ms }
    }

    /// Claims the key for a request with this fingerprint. A key that was used for another request is
    /// 422, one whose first request still runs is 409.
    pub async fn begin(&self, key: &Key, fingerprint: &str, now: i64) -> Result<Turn, Problem> {
        check(&key.request_key)?;
        Ok(self.race(key, fingerprint, now).await?)
    }

    async fn race(&self, key: &Key, fingerprint: &str, now: i64) -> Result<Turn, OnceError> {
        let pool = &self.db;
        for _ in 0..ROUNDS {
            if store::claim(pool, key, fingerprint, self.holder(now), now).await? {
                return Ok(Turn::Run);
            }
            // A row can be released between the two statements; then the next round claims it.
            let Some(row) = store::get(pool, key).await? else { continue };
            if row.fingerprint != fingerprint {
                return Err(OnceError::Reused);
            }
            if let Some(status) = row.status {
                return Ok(Turn::Replay(Kept {
                    status: u16::try_from(status).unwrap_or(200),
                    content_type: row.content_type,
                    location: row.location,
                    body: row.body.unwrap_or_default(),
                }));
            }
            if row.instance == self.instance || row.lease_until > now {
                return Err(OnceError::Running);
            }
            if store::take_over(pool, key, self.holder(now), now).await? {
                return Ok(Turn::Run);
            }
        }
        Err(OnceError::Running)
    }

    fn holder(&self, now: i64) -> Holder<'_> {
        Holder { instance: &self.instance, lease_until: now + LEASE_MS }
    }

    /// Says that this gateway lives, and with it the requests that it runs.
    pub async fn renew(&self, now: i64) -> Result<(), GatewayError> {
        Ok(store::renew(&self.db, self.holder(now)).await?)
    }

    pub async fn keep(&self, key: &Key, kept: &Kept) -> Result<(), GatewayError> {
        Ok(store::finish(&self.db, key, &self.instance, kept).await?)
    }

    pub async fn release(&self, key: &Key) -> Result<(), GatewayError> {
        Ok(store::release(&self.db, key, &self.instance).await?)
    }

    /// Forgets answers that are older than promised.
    pub async fn sweep(&self, now: i64) -> Result<u64, GatewayError> {
        Ok(store::delete_before(&self.db, now - self.keep_ms, now).await?)
    }
}

#[derive(Debug)]
enum OnceError {
    Reused,
    Running,
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for OnceError {
    fn from(err: sqlx::Error) -> Self {
        OnceError::Sql(err)
    }
}

impl From<OnceError> for Problem {
    fn from(err: OnceError) -> Self {
        match err {
            OnceError::Reused => Problem::new(
                Kind::Invalid,
                "idempotency_key_reused",
                "This `Idempotency-Key` belongs to another request. Take a new key for a new request.",
            ),
            OnceError::Running => Problem::new(
                Kind::Conflict,
                "idempotency_key_running",
                "The first request with this `Idempotency-Key` is still running.",
            )
            .retry_after(1),
            OnceError::Sql(err) => GatewayError::from(err).into(),
        }
    }
}

fn check(key: &str) -> Result<(), Problem> {
    if (1..=KEY_LIMIT).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let detail = format!("An `Idempotency-Key` has 1 to {KEY_LIMIT} visible ASCII characters.");
    Err(Problem::new(Kind::BadRequest, "invalid_idempotency_key", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn key(caller: &str) -> Key {
        Key { caller: caller.into(), request_key: "k-1".into() }
    }

    fn kept() -> Kept {
        Kept { status: 202, content_type: None, location: Some("/v1/jobs/job_1".into()), body: b"{}".into() }
    }

    async fn database() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let db = muster_real_servers::database(folder.path()).await;
        (folder, db)
    }

    async fn refusal(once: &Once, fingerprint: &str) -> String {
        once.begin(&key("a"), fingerprint, 1).await.unwrap_err().code
    }

    #[tokio::test]
    async fn runs_once_and_answers_the_same_after_that() {
        let (_folder, db) = database().await;
        let once = Once::new(db, 24);
        assert_eq!(once.begin(&key("a"), "f", 1).await, Ok(Turn::Run));
        assert_eq!(refusal(&once, "f").await, "idempotency_key_running");
        assert_eq!(refusal(&once, "other").await, "idempotency_key_reused");
        assert_eq!(once.begin(&key("b"), "other", 1).await, Ok(Turn::Run), "a key belongs to its caller");

        once.keep(&key("a"), &kept()).await.unwrap();
        assert_eq!(once.begin(&key("a"), "f", 2).await, Ok(Turn::Replay(kept())));
        assert_eq!(refusal(&once, "other").await, "idempotency_key_reused");
    }

    #[tokio::test]
    async fn a_released_key_is_free_and_a_kept_one_is_not() {
        let (_folder, db) = database().await;
        let once = Once::new(db, 24);
        once.begin(&key("a"), "f", 1).await.unwrap();
        once.release(&key("a")).await.unwrap();
        assert_eq!(once.begin(&key("a"), "f", 1).await, Ok(Turn::Run));
        once.keep(&key("a"), &kept()).await.unwrap();
        once.release(&key("a")).await.unwrap();
        assert_eq!(once.begin(&key("a"), "f", 1).await, Ok(Turn::Replay(kept())));
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_taken_over_once() {
        let (_folder, db) = database().await;
        let (dead, next) = (Once::new(db.clone(), 24), Once::new(db, 24));
        dead.begin(&key("a"), "f", 1).await.unwrap();
        assert_eq!(refusal(&next, "f").await, "idempotency_key_running", "the first may still live");
        let later = 1 + LEASE_MS;
        dead.renew(2).await.unwrap();
        assert!(next.begin(&key("a"), "f", later).await.is_err(), "it gave a sign of life");
        assert_eq!(next.begin(&key("a"), "f", later + 1).await, Ok(Turn::Run));
        assert_eq!(refusal(&next, "f").await, "idempotency_key_running");
        // A zombie's answer does not count any more.
        dead.keep(&key("a"), &kept()).await.unwrap();
        assert_eq!(refusal(&next, "f").await, "idempotency_key_running");
    }

    #[tokio::test]
    async fn answers_are_kept_for_a_day_and_not_for_ever() {
        let (_folder, db) = database().await;
        let once = Once::new(db, 1);
        once.begin(&key("a"), "f", 0).await.unwrap();
        once.keep(&key("a"), &kept()).await.unwrap();
        once.begin(&key("b"), "f", 0).await.unwrap();
        once.renew(DAY).await.unwrap();
        assert_eq!(once.sweep(DAY).await.unwrap(), 0, "less than a day is never configured");
        assert_eq!(once.sweep(DAY + 1).await.unwrap(), 1, "what still runs stays");
        assert_eq!(once.begin(&key("a"), "f", DAY).await, Ok(Turn::Run));
    }

    #[test]
    fn keys_are_visible_text() {
        assert!(check("0b9f-7").is_ok());
        for bad in ["", "a b", "ü", &"k".repeat(256)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
