//! Who calls, as the gateway found out, and what the caller may do. A handler that takes a
//! [`Caller`] can't be reached by a request that nobody has vouched for.

use std::collections::BTreeSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::app_id::check_app_id;
use crate::problem::{Kind, Problem};

/// What a key allows inside its apps. `Admin` includes all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Catalogue, estimates, sizes.
    Read,
    /// Segments and their runs.
    Segment,
    /// Imports.
    Import,
    /// User ids going out.
    Export,
    Admin,
}

impl Role {
    /// The role's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Segment => "segment",
            Role::Import => "import",
            Role::Export => "export",
            Role::Admin => "admin",
        }
    }
}

/// The apps a caller has. In JSON the text `"*"` or a list of app ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apps {
    All,
    Some(BTreeSet<String>),
}

impl Apps {
    pub fn contains(&self, app: &str) -> bool {
        match self {
            Apps::All => true,
            Apps::Some(apps) => apps.contains(app),
        }
    }
}

impl Serialize for Apps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Apps::All => serializer.serialize_str("*"),
            Apps::Some(apps) => apps.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Apps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            List(BTreeSet<String>),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Text(text)) if text == "*" => Ok(Apps::All),
            Ok(Written::List(apps)) => Ok(Apps::Some(apps)),
            _ => Err(serde::de::Error::custom("apps is a list of app ids, or \"*\" for all of them")),
        }
    }
}

/// The authenticated caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's id, or `local` for the keyless administrator of a loopback address.
    pub id: String,
    pub roles: BTreeSet<Role>,
    pub apps: Apps,
}

impl Caller {
    /// The administrator of every app that a server without keys on a loopback address knows.
    pub fn local() -> Self {
        Caller { id: "local".into(), roles: BTreeSet::from([Role::Admin]), apps: Apps::All }
    }

    /// Whether the caller has the app, in whatever role.
    pub fn may(&self, app: &str) -> bool {
        self.apps.contains(app)
    }

    /// Whether the caller may look at something of `owner` that belongs to `app`, or to no single app: its
    /// owner may, whoever has the app, and administrators of all apps.
    pub fn sees(&self, app: Option<&str>, owner: &str) -> bool {
        self.id == owner || self.is_root() || app.is_some_and(|app| self.may(app))
    }

    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role) || self.roles.contains(&Role::Admin)
    }

    /// Administrator of everything: may make keys and see what belongs to no app.
    pub fn is_root(&self) -> bool {
        self.apps == Apps::All && self.roles.contains(&Role::Admin)
    }

    /// 403 `forbidden_role` unless the caller has the role.
    pub fn require_role(&self, role: Role) -> Result<(), Problem> {
        if self.has_role(role) {
            return Ok(());
        }
        let detail = format!("This needs a key with the role `{}`.", role.name());
        Err(Problem::new(Kind::Forbidden, "forbidden_role", detail).with("role", role.name()))
    }

    /// 400 `invalid_app` for what is no id of an app; 404 `app_not_found` for an app the caller does not
    /// have, as for one that does not exist; then 403 `forbidden_role` for a role it lacks.
    pub fn require(&self, app: &str, role: Role) -> Result<(), Problem> {
        check_app_id(app)?;
        if !self.may(app) {
            return Err(Problem::app_not_found(app));
        }
        self.require_role(role)
    }

    /// 403 `forbidden_role` unless the caller [is root](Self::is_root).
    pub fn require_root(&self) -> Result<(), Problem> {
        if self.is_root() {
            return Ok(());
        }
        let detail = "This needs a key with the role `admin` on all apps.";
        Err(Problem::new(Kind::Forbidden, "forbidden_role", detail).with("role", "admin"))
    }
}

/// Taken from where the gateway put it; a request that did not pass the gateway gets 401.
impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = req.extensions().get::<Caller>().cloned();
        ready(caller.ok_or_else(|| {
            Problem::new(
                Kind::Unauthorized,
                "unauthorized",
                "This needs an API key: `Authorization: Bearer mk_…`.",
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(roles: &[Role], apps: Apps) -> Caller {
        Caller { id: "key_1".into(), roles: roles.iter().copied().collect(), apps }
    }

    fn only(app: &str) -> Apps {
        Apps::Some(BTreeSet::from([app.to_owned()]))
    }

    #[test]
    fn a_foreign_app_is_missing_before_any_role_counts() {
        let admin_of_one = caller(&[Role::Admin], only("one"));
        assert_eq!(admin_of_one.require("one", Role::Export), Ok(()));
        assert_eq!(admin_of_one.require("two", Role::Export), Err(Problem::app_not_found("two")));
        let reader = caller(&[Role::Read], only("one"));
        assert_eq!(reader.require("two", Role::Read).unwrap_err().code, "app_not_found");
        assert_eq!(reader.require("one", Role::Segment).unwrap_err().code, "forbidden_role");
        assert_eq!(Caller::local().require("one ", Role::Read).unwrap_err().code, "invalid_app");
    }

    #[test]
    fn root_is_admin_of_all_apps_and_nothing_less() {
        assert!(Caller::local().is_root());
        assert!(caller(&[Role::Admin], only("one")).require_root().is_err());
        assert!(caller(&[Role::Read], Apps::All).require_root().is_err());
    }

    #[test]
    fn apps_in_json() {
        assert_eq!(serde_json::from_str::<Apps>(r#""*""#).unwrap(), Apps::All);
        assert_eq!(serde_json::from_str::<Apps>(r#"["one"]"#).unwrap(), only("one"));
        assert!(serde_json::from_str::<Apps>(r#""one""#).is_err());
        assert_eq!(serde_json::to_string(&Apps::All).unwrap(), r#""*""#);
        assert_eq!(serde_json::to_string(&only("one")).unwrap(), r#"["one"]"#);
    }
}
