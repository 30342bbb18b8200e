//! Finds the caller that a key stands for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_http::{Caller, Kind, Problem};
use muster_sql::Db;

use super::keys;
use crate::error::GatewayError;
use crate::store::keys::{self as store, KeyRow};

/// A key that was found stays known for so long before the table is asked again. A key revoked by
/// another process works no longer than this.
const KNOWN_MS: i64 = 2_000;
/// `last_used` is written at most so often per key.
const TOUCH_MS: i64 = 60_000;

struct Known {
    caller: Caller,
    until: i64,
}

/// The keys of this server. Only valid keys are remembered, so strangers can't fill the memory.
pub struct Authority {
    db: Db,
    known: Mutex<HashMap<String, Known>>,
}

impl Authority {
    pub fn new(db: Db) -> Self {
        Authority { db, known: Mutex::default() }
    }

    /// The caller that presented `secret` a moment ago.
    pub fn known_caller(&self, secret: &str, now: i64) -> Option<Caller> {
        self.recall(&keys::hash(secret), now)
    }

    /// The caller that presents `secret`, or 401.
    pub async fn caller(&self, secret: &str, now: i64) -> Result<Caller, Problem> {
        let hash = keys::hash(secret);
        if let Some(caller) = self.recall(&hash, now) {
            return Ok(caller);
        }
        let row = store::by_hash(&self.db, &hash).await.map_err(GatewayError::from)?;
        let Some(row) = row else {
            self.known().remove(&hash);
            return Err(Problem::new(Kind::Unauthorized, "invalid_key", "This API key is not valid."));
        };
        self.touch(&row, now).await?;
        let caller = Caller { id: row.id, roles: row.roles.0, apps: row.apps.0 };
        self.known().insert(hash, Known { caller: caller.clone(), until: now + KNOWN_MS });
        Ok(caller)
    }

    /// Forgets what is remembered, so that a key revoked here stops working at once.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn recall(&self, hash: &str, now: i64) -> Option<Caller> {
        let known = self.known();
        let entry = known.get(hash)?;
        (now < entry.until).then(|| entry.caller.clone())
    }

    async fn touch(&self, row: &KeyRow, now: i64) -> Result<(), Problem> {
        if row.last_used.is_some_and(|last| now - last < TOUCH_MS) {
            return Ok(());
        }
        Ok(store::touch(&self.db, &row.id, now).await.map_err(GatewayError::from)?)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
