//! Who calls, as the gateway tells it to a role that runs in another process.
//!
//! The header `x-muster-identity` holds `base64url(JSON).base64url(HMAC-SHA256 of the former)`. It is bound
//! to one method and one path with its query, narrowed to the app that the path names, and ends soon, so
//! that one which was overheard opens nothing else.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::caller::{Apps, Caller, Role};
use crate::problem::{Kind, Problem};

/// The header that carries an identity. A client that sends it is not believed: the gateway takes it off.
pub const IDENTITY: &str = "x-muster-identity";
/// An identity ends this many milliseconds after it was made; clocks may differ by as much.
const ENDS_AFTER_MS: i64 = 30_000;
const SECRET_BYTES: usize = 16;

/// What every process of a deployment knows, and nobody else.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// None when it is shorter than 16 bytes.
    pub fn new(text: &str) -> Option<Secret> {
        let key = text.as_bytes();
        if key.len() < SECRET_BYTES {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(Secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an identity says, on the wire.
#[derive(Serialize, Deserialize)]
struct Claims {
    caller: String,
    roles: BTreeSet<Role>,
    apps: Apps,
    method: String,
    target: String,
    request_id: String,
    /// Milliseconds since the epoch.
    ends: i64,
}

/// A request as it is signed: its method, and its path with its query as they are sent.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub method: &'a str,
    pub path_and_query: &'a str,
}

/// The header's value for a request of `caller`, `now` in milliseconds since the epoch. `app` is the one
/// that the path names: the caller loses all others.
pub fn sign(
    secret: &Secret,
    caller: &Caller,
    app: Option<&str>,
    target: Target<'_>,
    request_id: &str,
    now: i64,
) -> String {
    let apps = match app {
        Some(app) if caller.may(app) => Apps::Some(BTreeSet::from([app.to_owned()])),
        Some(_) => Apps::Some(BTreeSet::new()),
        None => caller.apps.clone(),
    };
    let claims = Claims {
        caller: caller.id.clone(),
        roles: caller.roles.clone(),
        apps,
        method: target.method.to_owned(),
        target: target.path_and_query.to_owned(),
        request_id: request_id.to_owned(),
        ends: now + ENDS_AFTER_MS,
    };
    let json = serde_json::to_vec(&claims).expect("claims are plain data");
    let text = URL_SAFE_NO_PAD.encode(json);
    let mac = secret.0.clone().chain_update(&text).finalize().into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// The caller and the request's id that the header vouches for, or 401.
pub fn verify(
    secret: &Secret,
    header: Option<&str>,
    target: Target<'_>,
    now: i64,
) -> Result<(Caller, String), Problem> {
    let claims = header.and_then(|header| read(secret, header)).ok_or_else(refused)?;
    let bound = claims.method == target.method && claims.target == target.path_and_query;
    if !bound || now > claims.ends || claims.ends - now > 2 * ENDS_AFTER_MS {
        return Err(refused());
    }
    Ok((Caller { id: claims.caller, roles: claims.roles, apps: claims.apps }, claims.request_id))
}

/// None unless the signature is right, which is compared in constant time.
fn read(secret: &Secret, header: &str) -> Option<Claims> {
    let (text, mac) = header.split_once('.')?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    secret.0.clone().chain_update(text).verify_slice(&mac).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn refused() -> Problem {
    let detail = "This process answers its gateway only: send the request there.";
    Problem::new(Kind::Unauthorized, "identity_refused", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;
    const TARGET: Target<'_> = Target { method: "GET", path_and_query: "/v1/apps/a/labels?limit=1" };

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn signed(app: Option<&str>) -> String {
        let caller = Caller { id: "key_1".into(), roles: BTreeSet::from([Role::Read]), apps: Apps::All };
        sign(&secret("sixteen bytes at least"), &caller, app, TARGET, "r-1", NOW)
    }

    fn check(header: &str, target: Target<'_>, now: i64) -> Option<Caller> {
        let verified = verify(&secret("sixteen bytes at least"), Some(header), target, now);
        verified.ok().map(|(caller, _)| caller)
    }

    #[test]
    fn a_caller_arrives_with_the_apps_of_the_path() {
        let caller = check(&signed(Some("a")), TARGET, NOW).unwrap();
        assert!(caller.id == "key_1" && caller.may("a") && !caller.may("b"));
        assert!(check(&signed(None), TARGET, NOW).unwrap().may("b"), "an import names no app");
    }

    #[test]
    fn any_other_request_is_refused() {
        let good = signed(None);
        assert!(check(&good, TARGET, NOW + ENDS_AFTER_MS).is_some());
        assert!(check(&good, TARGET, NOW + ENDS_AFTER_MS + 1).is_none(), "it has ended");
        assert!(check(&good, TARGET, NOW - 2 * ENDS_AFTER_MS).is_none(), "it is from the future");
        assert!(check(&good, Target { method: "POST", ..TARGET }, NOW).is_none());
        let other = Target { path_and_query: "/v1/apps/a/labels?limit=2", ..TARGET };
        assert!(check(&good, other, NOW).is_none());
        for bad in ["", ".", "e30.e30", good.split('.').next().unwrap(), &good[1..], &good[..good.len() - 2]]
        {
            assert!(check(bad, TARGET, NOW).is_none(), "{bad}");
        }
        assert!(verify(&secret("sixteen bytes, others"), Some(&good), TARGET, NOW).is_err());
        assert!(verify(&secret("sixteen bytes at least"), None, TARGET, NOW).is_err());
    }

    #[test]
    fn a_secret_is_long_and_never_shown() {
        assert!(Secret::new("fifteen bytes..").is_none());
        assert!(!format!("{:?}", secret("sixteen bytes at least")).contains("sixteen"));
    }
}
