//! API keys: made, listed and revoked, by the routes and by the command line alike.

use std::collections::BTreeSet;

use muster_http::{Apps, Page, Role, is_padded};
use muster_sql::Db;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use ulid::Ulid;
use utoipa::ToSchema;

use crate::clock;
use crate::error::GatewayError;
use crate::store::keys::{self as store, KeyRow};

/// Every key begins with it, so that one that leaked into a text can be found.
const PREFIX: &str = "mk_";
const NAME_LIMIT: usize = 100;
const APP_LIMIT: usize = 128;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For people, 1 to 100 bytes.
    pub name: String,
    /// App ids, or `"*"` for all apps.
    #[schema(value_type = AppsSchema)]
    pub apps: Apps,
    /// What the key may do in its apps; `admin` includes the others.
    pub roles: BTreeSet<Role>,
}

/// A key as it is listed: all but the secret, which nobody has any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Key {
    pub id: String,
    pub name: String,
    #[schema(value_type = AppsSchema)]
    pub apps: Apps,
    pub roles: BTreeSet<Role>,
    /// RFC 3339.
    pub created_at: String,
    #[schema(required)]
    pub revoked_at: Option<String>,
    /// To the minute.
    #[schema(required)]
    pub last_used: Option<String>,
}

/// A new key with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    pub key: Key,
    /// `mk_` and 64 hexadecimal digits: send it as `Authorization: Bearer mk_…`.
    pub secret: String,
}

/// How [`Apps`] looks in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = Apps)]
#[serde(untagged)]
#[allow(dead_code)]
pub(crate) enum AppsSchema {
    /// `"*"`: all apps.
    All(String),
    Some(Vec<String>),
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Key {
            id: row.id,
            name: row.name,
            apps: row.apps.0,
            roles: row.roles.0,
            created_at: clock::text(row.created_at),
            revoked_at: row.revoked_at.map(clock::text),
            last_used: row.last_used.map(clock::text),
        }
    }
}

/// Makes a key; `now` in milliseconds since the epoch.
pub async fn create(db: &Db, new: NewKey, now: i64) -> Result<CreatedKey, GatewayError> {
    check(&new)?;
    let secret = new_secret();
    let row = KeyRow {
        id: format!("key_{}", Ulid::generate()),
        name: new.name,
        hash: hash(&secret),
        apps: Json(new.apps),
        roles: Json(new.roles),
        created_at: now,
        revoked_at: None,
        last_used: None,
    };
    store::insert(db, &row).await?;
    Ok(CreatedKey { key: row.into(), secret })
}

/// Up to `size` keys in order of creation, revoked ones too; `cursor` is `next` of the page before.
pub async fn list(db: &Db, size: u32, cursor: Option<&str>) -> Result<Page<Key>, GatewayError> {
    let rows = store::list(db, cursor.unwrap_or(""), size + 1).await?;
    Ok(Page::cut(rows, size, |row| row.id.clone()).map(Key::from))
}

/// Ends a key. It stays in the list; a running server refuses it within seconds.
pub async fn revoke(db: &Db, id: &str, now: i64) -> Result<(), GatewayError> {
    match store::revoke(db, id, now).await? {
        true => Ok(()),
        false => Err(GatewayError::UnknownKey(id.to_owned())),
    }
}

fn check(new: &NewKey) -> Result<(), GatewayError> {
    let refused = |why: String| Err(GatewayError::InvalidKey(why));
    if new.name.is_empty() || new.name.len() > NAME_LIMIT {
        return refused(format!("A key's name has 1 to {NAME_LIMIT} bytes; this has {}.", new.name.len()));
    }
    if new.roles.is_empty() {
        return refused("A key without a role could do nothing: name at least one.".into());
    }
    match &new.apps {
        Apps::Some(apps) if apps.is_empty() => {
            refused("A key without an app could see nothing: name at least one, or \"*\".".into())
        }
        Apps::Some(apps) if apps.contains("") || apps.contains("*") => refused(
            "An app id in the list is empty or `*`; for all apps write \"*\" instead of the list.".into(),
        ),
        Apps::Some(apps) if apps.iter().any(|app| app.len() > APP_LIMIT) => {
            refused(format!("An app id has at most {APP_LIMIT} bytes."))
        }
        Apps::Some(apps) if apps.iter().any(|app| is_padded(app)) => {
            refused("An app id in the list begins or ends with white space.".into())
        }
        _ => Ok(()),
    }
}

fn new_secret() -> String {
    let random: [u8; 32] = rand::random();
    format!("{PREFIX}{}", hex(&random))
}

/// The stored form of a secret. A slow hash defends words that people choose; 256 random bits can't be
/// guessed however fast the hash is, so each request may be checked with a fast one.
pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, apps: &[&str], roles: &[Role]) -> NewKey {
        NewKey {
            name: name.into(),
            apps: Apps::Some(apps.iter().map(|a| a.to_string()).collect()),
            roles: roles.iter().copied().collect(),
        }
    }

    #[test]
    fn a_key_that_could_do_nothing_is_not_made() {
        assert!(check(&new("n", &["a"], &[Role::Read])).is_ok());
        for bad in [
            new("", &["a"], &[Role::Read]),
            new("n", &[], &[Role::Read]),
            new("n", &["*"], &[Role::Read]),
            new("n", &["a", "b "], &[Role::Read]),
            new("n", &["a"], &[]),
            new(&"n".repeat(101), &["a"], &[Role::Read]),
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn the_secret_is_shown_once_and_stored_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let db = muster_real_servers::database(folder.path()).await;
        let made = create(&db, new("ci", &["a"], &[Role::Read]), 1_000).await.unwrap();
        assert_eq!(made.secret.len(), 3 + 64);

        let row = store::by_hash(&db, &hash(&made.secret)).await.unwrap().unwrap();
        assert_eq!(row.id, made.key.id);
        assert!(!format!("{row:?}").contains(&made.secret[3..]));
        assert_eq!(list(&db, 10, None).await.unwrap().items, std::slice::from_ref(&made.key));

        revoke(&db, &made.key.id, 2_000).await.unwrap();
        revoke(&db, &made.key.id, 3_000).await.unwrap();
        assert!(store::by_hash(&db, &hash(&made.secret)).await.unwrap().is_none());
        let listed = list(&db, 10, None).await.unwrap().items.remove(0);
        assert_eq!(listed.revoked_at.as_deref(), Some("1970-01-01T00:00:02.000Z"));
        assert!(matches!(revoke(&db, "key_none", 1).await, Err(GatewayError::UnknownKey(_))));
    }
}
