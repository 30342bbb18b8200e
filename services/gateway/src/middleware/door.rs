//! Who comes in: the key of a request, or, on a loopback address without keys, a guard against web pages
//! that the same person has open.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use muster_http::{Caller, Kind, Problem};

use crate::operations::authenticate::Authority;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub struct Door {
    authority: Authority,
    /// A request without a key is the administrator.
    keyless: bool,
}

impl Door {
    pub fn new(authority: Authority, keyless: bool) -> Self {
        Door { authority, keyless }
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// On a server without keys a browser is the danger: a page of a stranger can send requests to
    /// loopback, by a host name that it lets point there or by a plain form. Such requests bear a foreign
    /// `Host` or `Origin`.
    pub fn guard(&self, head: &RequestHead) -> Result<(), Problem> {
        if !self.keyless || presented(&head.headers).is_ok_and(|key| key.is_some()) {
            return Ok(());
        }
        let Some(host) = host(head).filter(|host| is_loopback(host)) else {
            let detail = "Without a key this server answers to loopback names only, such as `localhost`.";
            return Err(Problem::new(Kind::Forbidden, "host_not_allowed", detail));
        };
        let reads = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if reads || !head.headers.contains_key(ORIGIN) || origin_is(&head.headers, host) {
            return Ok(());
        }
        let detail = "Without a key this server takes no writes from pages of another origin.";
        Err(Problem::new(Kind::Forbidden, "origin_not_allowed", detail))
    }

    /// The caller, if that is known without a look at the table of keys.
    pub fn known_caller(&self, head: &RequestHead, now: i64) -> Option<Caller> {
        match presented(&head.headers).ok()? {
            Some(secret) => self.authority.known_caller(secret, now),
            None => self.keyless.then(Caller::local),
        }
    }

    /// The caller, or 401. A key that is presented must be right, also where none is needed.
    pub async fn caller(&self, head: &RequestHead, now: i64) -> Result<Caller, Problem> {
        match presented(&head.headers)? {
            Some(secret) => self.authority.caller(secret, now).await,
            None if self.keyless => Ok(Caller::local()),
            None => Err(unauthorized("This needs an API key: `Authorization: Bearer mk_…`.")),
        }
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, "unauthorized", detail)
}

/// The key in `Authorization: Bearer` or `X-Api-Key`.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let unreadable = || unauthorized("The key can't be read: send `Authorization: Bearer mk_…`.");
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, key) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(unreadable)?;
        let bearer = scheme.eq_ignore_ascii_case("bearer");
        return bearer.then(|| Some(key.trim())).ok_or_else(unreadable);
    }
    headers.get(X_API_KEY).map(|value| value.to_str().map_err(|_| unreadable())).transpose()
}

/// What the client calls this server: the `Host` header, or the authority of HTTP/2.
fn host(head: &RequestHead) -> Option<&str> {
    let header = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| head.uri.authority().map(|authority| authority.as_str()))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn origin_is(headers: &HeaderMap, host: &str) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names() {
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost:1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in
            ["evil.example", "localhost.evil.example:80", "10.0.0.1", "127.0.0.1.evil.example", "", "[::2]:1"]
        {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
