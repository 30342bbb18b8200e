//! How many users an app has, as far as quotas need to know it: an estimate costs more on a large app.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

/// Looks up the users of an app; None when there is no such app.
pub type AppUsers = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Option<u64>, String>> + Send + Sync>;

/// A size is looked up again after so long.
const KNOWN_MS: i64 = 5_000;
/// A rule costs its own cost once for each so many users, rounded up.
const USERS_OF_ONE_COST: u64 = 1_000_000;
/// More apps than these are not remembered all at once.
const MOST_KNOWN: usize = 10_000;

pub struct Sizes {
    look: Option<AppUsers>,
    known: Mutex<HashMap<String, (i64, u64)>>,
}

impl Sizes {
    /// Without a way to look, every app is there and small.
    pub fn new(look: Option<AppUsers>) -> Sizes {
        Sizes { look, known: Mutex::default() }
    }

    /// What a rule's cost is multiplied with for this app: 1 up to a million users, 2 up to two, …
    pub async fn factor(&self, app: &str, now: i64) -> u64 {
        let users = match self.users(app, now).await {
            Ok(users) => users.unwrap_or(0),
            Err(error) => {
                tracing::warn!(%error, "how large an app is can't be looked up; its rules cost as on a small one");
                // Not asked again with every request while the storage is away.
                self.known().insert(app.to_owned(), (now + KNOWN_MS, 0));
                0
            }
        };
        users.div_ceil(USERS_OF_ONE_COST).max(1)
    }

    /// None when there is no such app; as it was a few seconds ago.
    pub async fn users(&self, app: &str, now: i64) -> Result<Option<u64>, String> {
        let Some(look) = &self.look else { return Ok(Some(0)) };
        let remembered = self.known().get(app).copied();
        if let Some((_, users)) = remembered.filter(|(until, _)| now < *until) {
            return Ok(Some(users));
        }
        let found = look(app.to_owned()).await?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        match found {
            Some(users) => _ = known.insert(app.to_owned(), (now + KNOWN_MS, users)),
            None => _ = known.remove(app),
        }
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (i64, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_size_is_known_for_a_while() {
        let looks = Arc::new(Mutex::new(0));
        let counted = looks.clone();
        let look: AppUsers = Arc::new(move |app| {
            *counted.lock().unwrap() += 1;
            Box::pin(async move { Ok((app == "large").then_some(2_000_001)) })
        });
        let sizes = Sizes::new(Some(look));
        assert_eq!([sizes.factor("large", 0).await, sizes.factor("large", KNOWN_MS - 1).await], [3, 3]);
        assert_eq!(*looks.lock().unwrap(), 1);
        sizes.factor("large", KNOWN_MS).await;
        assert_eq!(*looks.lock().unwrap(), 2);
        assert_eq!(sizes.factor("none", 0).await, 1);
        assert_eq!(sizes.users("none", 0).await, Ok(None));
        assert_eq!(Sizes::new(None).factor("any", 0).await, 1);
        let away: AppUsers = Arc::new(|_| Box::pin(async { Err("away".to_owned()) }));
        assert_eq!(Sizes::new(Some(away)).factor("any", 0).await, 1);
    }
}
